"""Models that speak, listen and embed: what they take.

Source: the models' pages at https://replicate.com (read 2026-11-24); of openai/gpt-4o-transcribe, and of what the models that embed give,
as their users have them
"""

from __future__ import annotations

from pulse_gateway.testing.simulator.replicate.inputs import Input, Model

__all__ = ["LISTENING_MODELS"]

_TEXT = Input()
_NEEDED = Input(required=True)
_FLAG = Input(type="boolean")
_FILE = Input(type="uri", required=True)
_NUMBER = Input(type="number")
_COUNT = Input(type="integer", least=1)
_MINIMAX = {
    "text": _NEEDED, "voice_id": _TEXT, "speed": Input(type="number", least=0.5, most=2),
    "volume": Input(type="number", least=0, most=10), "pitch": Input(type="integer", least=-12, most=12),
    "emotion": Input(
        choices=("auto", "happy", "sad", "angry", "fearful", "disgusted", "surprised", "calm", "fluent", "neutral")
    ),
    "english_normalization": _FLAG, "sample_rate": Input(type="integer", choices=(8000, 16000, 22050, 24000, 32000, 44100)),
    "bitrate": Input(type="integer", choices=(32000, 64000, 128000, 256000)),
    "audio_format": Input(choices=("mp3", "wav", "flac", "pcm")), "channel": Input(choices=("mono", "stereo")),
    "subtitle_enable": _FLAG, "language_boost": _TEXT,
}  # fmt: skip
_GPT = {
    "audio_file": _FILE,
    "prompt": _TEXT,
    "language": _TEXT,
    "temperature": Input(type="number", least=0, most=1),
}
_WHISPER = {
    "audio": _FILE, "transcription": Input(choices=("plain text", "srt", "vtt")), "translate": _FLAG, "language": _TEXT,
    "temperature": _NUMBER, "patience": _NUMBER, "suppress_tokens": _TEXT, "initial_prompt": _TEXT,
    "condition_on_previous_text": _FLAG, "temperature_increment_on_fallback": _NUMBER,
    "compression_ratio_threshold": _NUMBER, "logprob_threshold": _NUMBER, "no_speech_threshold": _NUMBER,
}  # fmt: skip
_FAST_WHISPER = {
    "audio": _FILE, "task": Input(choices=("transcribe", "translate")),
    "language": Input(choices=("None", "arabic", "english", "french", "german", "spanish")), "batch_size": _COUNT,
    "timestamp": Input(choices=("chunk", "word")), "diarise_audio": _FLAG, "hf_token": _TEXT,
}  # fmt: skip
_WHISPERX = {
    "audio_file": _FILE, "language": _TEXT, "language_detection_min_prob": _NUMBER, "language_detection_max_tries": _COUNT,
    "initial_prompt": _TEXT, "batch_size": _COUNT, "temperature": _NUMBER, "vad_onset": _NUMBER, "vad_offset": _NUMBER,
    "align_output": _FLAG, "diarization": _FLAG, "huggingface_access_token": _TEXT, "min_speakers": _COUNT,
    "max_speakers": _COUNT, "debug": _FLAG,
}  # fmt: skip

LISTENING_MODELS = (
    *(
        Model(name=f"minimax/speech-{each}", shape="sound", inputs=_MINIMAX, media_type="audio/mpeg")
        for each in ("02-turbo", "02-hd", "2.6-turbo", "2.6-hd", "2.8-turbo", "2.8-hd")
    ),
    Model(
        name="jaaari/kokoro-82m",
        shape="sound",
        inputs={"text": _NEEDED, "voice": _TEXT, "speed": Input(type="number", least=0.1, most=5)},
        official=False,
        media_type="audio/wav",
    ),
    Model(name="openai/gpt-4o-transcribe", shape="heard", inputs=_GPT),
    Model(name="openai/gpt-4o-mini-transcribe", shape="heard", inputs=_GPT),
    Model(name="openai/whisper", shape="transcript", inputs=_WHISPER, official=False),
    Model(name="vaibhavs10/incredibly-fast-whisper", shape="chunks", inputs=_FAST_WHISPER, official=False),
    Model(name="victor-upmeet/whisperx", shape="segments", inputs=_WHISPERX, official=False),
    Model(
        name="beautyyuyanli/multilingual-e5-large",
        shape="vectors",
        inputs={"texts": _NEEDED, "batch_size": _COUNT, "normalize_embeddings": _FLAG},
        official=False,
    ),
    Model(
        name="nateraw/bge-large-en-v1.5",
        shape="vectors",
        inputs={
            "texts": _TEXT, "path": Input(type="uri"), "batch_size": _COUNT, "normalize_embeddings": _FLAG,
            "convert_to_numpy": _FLAG,
        },
        official=False,
    ),
    Model(
        name="replicate/all-mpnet-base-v2",
        shape="embeddings",
        inputs={"text": _TEXT, "text_batch": _TEXT},
        official=False,
    ),
)  # fmt: skip
