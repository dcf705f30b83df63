"""Mistral's conversations with the tool that draws, the files that it makes, and Voxtral's speech.

The tool draws once for a conversation; the file can be fetched as often as wanted. What it takes itself is 69 `connector_tokens`.
`refusal` answers in words. Speech is silence that lasts ten milliseconds a character, as floats where raw samples are asked for.
Source: https://docs.mistral.ai/studio/agents/agent-tools/image_generation, /studio/audio/text-to-speech, /api/endpoint/beta/conversations,
/api/endpoint/audio/speech and the types of `mistralai` 3.7 (read 2026-11-24). Members that it does not know are refused, although Mistral
lets them stand in a request for speech.
"""

from __future__ import annotations

import base64
import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pulse_gateway.testing.simulator.answer import Usage
from pulse_gateway.testing.simulator.dice import decode_base64, identifier
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.openai.body import Strict, converted
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.openai.sounds import silence
from pulse_gateway.testing.simulator.samples import colour, picture
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.tokens import MEDIA_TOKENS, Tally, count_text
from pulse_gateway.testing.simulator.vendor import Frame

__all__ = ["MistralFiles", "mistral_speech"]

_ENCODE = msgspec.json.encode
_MOST_FILES = 1000
_CONNECTOR_TOKENS = 69
_SIDE = 1024
_AT = "2026-11-24T10:59:53.092347Z"
_DATA_URL = re.compile(r"data:image/(?:png|jpeg|webp);base64,(.+)", re.DOTALL)
_VOICE = re.compile(r"[a-z]{2}_[a-z]+_[a-z]+|voice_\d+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MS_PER_CHARACTER = 10
_FLOAT_BYTES_PER_MS = 24 * 4


class Tool(msgspec.Struct):
    type: Literal[
        "function",
        "web_search",
        "web_search_premium",
        "code_interpreter",
        "image_generation",
        "document_library",
        "connector",
    ]


class Chunk(msgspec.Struct):
    type: Literal["text", "image_url", "tool_file", "document_url", "thinking"]
    text: str = ""
    image_url: str | dict[str, str] = ""


class Entry(Strict):
    role: Literal["user", "assistant"]
    content: str | list[Chunk]
    type: Literal["message.input"] = "message.input"
    object: Literal["entry"] = "entry"
    prefix: bool = False


class Conversation(Strict):
    inputs: str | list[Entry]
    model: str | None = None
    agent_id: str | None = None
    agent_version: str | int | None = None
    completion_args: dict[str, Any] | None = None
    description: str | None = None
    guardrails: list[Any] | None = None
    handoff_execution: Literal["client", "server"] | None = None
    instructions: str | None = None
    metadata: dict[str, Any] | None = None
    name: str | None = None
    store: bool | None = None
    stream: Literal[False] = False
    tools: list[Tool] | None = None


class SpeechRequest(Strict):
    input: Annotated[str, Meta(min_length=1)]
    model: str
    conversation_history: list[Any] | None = None
    expressiveness: Annotated[float, Meta(ge=1)] | None = None
    metadata: dict[str, Any] | None = None
    phoneme_hints: dict[str, list[str]] | None = None
    prompt_cache_key: str | None = None
    ref_audio: str | None = None
    response_format: Literal["pcm", "wav", "mp3", "flac", "opus"] = "mp3"
    stream: bool = False
    voice_id: str | None = None


class MistralFiles:
    """What conversations have made, until it is forgotten."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._files: dict[str, bytes] = {}

    def reset(self) -> None:
        self._files.clear()

    def content(self, file_id: str) -> Work:
        """Raises: Refusal."""
        data = self._files.get(file_id)
        if data is None:
            raise refuse(f"No file matches the given query: {file_id}", code="1901", status=404)
        return Work(model="", content_type="application/octet-stream", render=lambda faults: [Frame(data)])

    def converse(self, body: dict[str, Any]) -> Work:
        """Raises: Refusal."""
        wanted = converted(body, Conversation)
        if (wanted.model is None) == (wanted.agent_id is None):
            raise refuse("Exactly one of model and agent_id must be given.", code="3001")
        model, spec = split_model(wanted.model or "mistral-medium-latest")
        tally = Tally(self._seed, "mistral conversations", model)
        texts, media = _read(wanted.inputs)
        for text in (wanted.instructions or "", *texts):
            tally.text(text)
        draws = any(tool.type == "image_generation" for tool in wanted.tools or ())
        sent = count_text((wanted.instructions or "") + "".join(texts)) + MEDIA_TOKENS * media

        def render(faults: Faults) -> list[Frame]:
            answered = draws and not faults.refusal
            said = "Here is your image.\n\n" if answered else f"You said: {texts[-1] if texts else ''}"
            content: list[dict[str, Any]] = [{"type": "text", "text": said}]
            outputs: list[dict[str, Any]] = []
            if answered:
                content.append(self._drawn(tally.digest))
                outputs.append(_entry("tool.execution", tally.digest, name="image_generation", arguments="{}"))
            outputs.append(
                _entry("message.output", tally.digest, role="assistant", model=wanted.model, content=content)
            )
            reply: dict[str, Any] = {
                "object": "conversation.response",
                "conversation_id": identifier("conv_", tally.digest, length=32),
                "outputs": outputs,
            }
            written, used = count_text(said), _CONNECTOR_TOKENS if draws else 0
            if not faults.no_usage:
                reply["usage"] = {
                    "prompt_tokens": sent,
                    "completion_tokens": written,
                    "total_tokens": sent + written + used,
                    "connector_tokens": used or None,
                    "connectors": {"image_generation": 1} if answered else None,
                }
            return [Frame(_ENCODE(reply), written)]

        return Work(
            model=wanted.model or "",
            fault_spec=spec,
            content_type="application/json",
            render=render,
            usage=Usage(input=sent + (_CONNECTOR_TOKENS if draws else 0)),
            units={"images": 1} if draws else {},
        )

    def _drawn(self, digest: bytes) -> dict[str, Any]:
        file_id = identifier("", digest, "file", length=32)
        while len(self._files) >= _MOST_FILES:
            self._files.pop(next(iter(self._files)))
        self._files[file_id] = picture("image/png", _SIDE, _SIDE, colour(digest))
        return {
            "type": "tool_file",
            "tool": "image_generation",
            "file_id": file_id,
            "file_name": "image_generated_0",
            "file_type": "png",
        }


def mistral_speech(body: dict[str, Any]) -> Work:
    """Raises: Refusal."""
    wanted = converted(body, SpeechRequest)
    model, spec = split_model(wanted.model)
    if "tts" not in model:
        raise refuse(f"Invalid model: {model}", code="1500")
    if (wanted.voice_id is None) == (wanted.ref_audio is None):
        raise refuse("Exactly one of voice_id and ref_audio must be given.", code="3001")
    if wanted.voice_id is not None and not _VOICE.fullmatch(wanted.voice_id):
        raise refuse(f"Voice not found: {wanted.voice_id}", code="1901", status=404)
    if wanted.ref_audio is not None and not decode_base64(wanted.ref_audio):
        raise refuse("ref_audio is not base64", code="3001")
    kind, length_ms = wanted.response_format, max(100, len(wanted.input) * _MS_PER_CHARACTER)
    sound = bytes(length_ms * _FLOAT_BYTES_PER_MS) if kind == "pcm" else silence(kind, length_ms)
    shown = base64.b64encode(sound).decode()

    def render(faults: Faults) -> list[Frame]:
        if not wanted.stream:
            return [Frame(_ENCODE({"audio_data": shown}))]
        usage = {"prompt_tokens": count_text(wanted.input), "completion_tokens": length_ms * 24}
        usage["total_tokens"] = sum(usage.values())
        events: list[tuple[str, dict[str, Any]]] = [
            ("speech.audio.delta", {"audio_data": shown}),
            ("speech.audio.done", {"usage": usage}),
        ]
        return [
            Frame(b"event: %b\ndata: %b\n\n" % (name.encode(), _ENCODE({"type": name, **data})))
            for name, data in events
        ]

    return Work(
        model=wanted.model,
        fault_spec=spec,
        content_type="text/event-stream" if wanted.stream else "application/json",
        render=render,
        stream=wanted.stream,
        units={"characters": len(wanted.input)},
    )


def _read(inputs: str | list[Entry]) -> tuple[list[str], int]:
    """The texts of a conversation, and how many pictures stand in it."""
    if isinstance(inputs, str):
        return [inputs], 0
    if not inputs:
        raise refuse("inputs must not be empty", code="3001")
    texts, media = list[str](), 0
    for entry in inputs:
        for chunk in [Chunk("text", entry.content)] if isinstance(entry.content, str) else entry.content:
            if chunk.type == "image_url":
                url = chunk.image_url if isinstance(chunk.image_url, str) else chunk.image_url.get("url", "")
                found = _DATA_URL.fullmatch(url)
                if not url.startswith("https://") and not (found and decode_base64(found[1])):
                    raise refuse("Image, error: image_url is neither an address nor a data URL.", code="3310")
                texts.append(url[-64:])
                media += 1
            else:
                texts.append(chunk.text)
    return texts, media


def _entry(kind: str, digest: bytes, **members: Any) -> dict[str, Any]:
    times = {"created_at": _AT, "completed_at": _AT}
    return {"object": "entry", "type": kind, "id": identifier(f"{kind[:4]}_", digest, kind), **times, **members}
