"""What Google refuses of requests for pictures and speech.

Source: https://ai.google.dev/gemini-api/docs/image-generation and /speech-generation (read 2026-11-24)
"""

from __future__ import annotations

from pulse_gateway.testing.simulator.gemini.errors import refuse
from pulse_gateway.testing.simulator.gemini.models import Makes, Traits
from pulse_gateway.testing.simulator.gemini.pictures import picture_traits
from pulse_gateway.testing.simulator.gemini.schema import GenerateContentRequest, ImageConfig, SpeechConfig, VoiceConfig
from pulse_gateway.testing.simulator.gemini.speech import VOICES

__all__ = ["check_media"]

_COMBINATIONS: dict[Makes, tuple[frozenset[str], ...]] = {
    "text": (frozenset({"TEXT"}),),
    "image": (frozenset({"TEXT", "IMAGE"}), frozenset({"IMAGE"}), frozenset({"TEXT"})),
    "speech": (frozenset({"AUDIO"}),),
    "video": (frozenset({"VIDEO"}), frozenset({"TEXT", "VIDEO"})),
}


def check_media(request: GenerateContentRequest, model: str, traits: Traits) -> None:
    """Raises: Refusal."""
    _check_modalities(request, model, traits)
    config = request.generation_config
    if config.image_config is not None:
        if traits.makes != "image":
            raise refuse("Image generation is not enabled for this model.")
        _check_picture(config.image_config, model)
    if config.speech_config is not None:
        if traits.makes != "speech":
            raise refuse("Speech generation is not enabled for this model.")
        _check_speech(config.speech_config)
    if traits.makes == "text":
        return
    if (config.candidate_count or 1) > 1:
        raise refuse("Multiple candidates is not enabled for this model")
    if any(tool.function_declarations for tool in request.tools):
        raise refuse("Function calling is not enabled for this model")
    if config.response_mime_type not in {None, "text/plain"}:
        raise refuse("JSON mode is not enabled for this model")
    if traits.makes == "speech":
        _check_spoken(request)


def _check_spoken(request: GenerateContentRequest) -> None:
    if request.system_instruction is not None:
        raise refuse("Developer instruction is not enabled for this model")
    for content in request.contents:
        if any(part.text is None for part in content.parts):
            raise refuse("Model tried to generate text, but it should only be used for TTS: only text can be spoken.")


def _check_modalities(request: GenerateContentRequest, model: str, traits: Traits) -> None:
    given = request.generation_config.response_modalities
    asked = frozenset(given) or (frozenset({"TEXT"}) if traits.makes == "speech" else frozenset())
    allowed = _COMBINATIONS[traits.makes]
    if not asked or asked in allowed:
        return
    if traits.makes == "text":
        raise refuse("This model only supports text output.")
    combinations = "".join(f"* {', '.join(sorted(each, reverse=True))}\n" for each in allowed)
    raise refuse(
        f"The requested combination of response modalities ({', '.join(sorted(asked, reverse=True))}) is not supported by "
        f"the model. models/{model} accepts the following combination of response modalities:\n{combinations}"
    )


def _check_picture(config: ImageConfig, model: str) -> None:
    traits = picture_traits(model)
    if config.aspect_ratio is not None and config.aspect_ratio not in traits.ratios:
        raise refuse(
            f"* GenerateContentRequest.generation_config.image_config.aspect_ratio: aspect_ratio must be one of "
            f"{', '.join(repr(ratio) for ratio in traits.ratios)}."
        )
    if config.image_size is not None and config.image_size not in traits.tokens:
        raise refuse(
            f"* GenerateContentRequest.generation_config.image_config.image_size: image_size must be one of "
            f"{', '.join(repr(size) for size in traits.tokens)}."
        )


def _check_speech(config: SpeechConfig) -> None:
    several = config.multi_speaker_voice_config
    if config.voice_config is not None and several is not None:
        raise refuse("Only one of voice_config and multi_speaker_voice_config may be set.")
    if config.voice_config is not None:
        _check_voice(config.voice_config)
    if several is not None:
        if len(several.speaker_voice_configs) != 2:
            raise refuse("multi_speaker_voice_config: the number of enabled_voices must equal 2.")
        for each in several.speaker_voice_configs:
            _check_voice(each.voice_config)


def _check_voice(config: VoiceConfig) -> None:
    name = config.voice if config.prebuilt_voice_config is None else config.prebuilt_voice_config.voice_name
    if name is None and config.replicated_voice_config is None:
        raise refuse("voice_config: a voice is required.")
    if name is not None and name.lower() not in VOICES:
        raise refuse(f"Voice name {name} is not supported. Allowed voice names are: {', '.join(sorted(VOICES))}")
