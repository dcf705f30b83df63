"""Everything of OpenAI's shape beside chat, by the path after the base URL: for OpenAI itself and for those who copied it."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from pulse_gateway.testing.simulator.config import Config
from pulse_gateway.testing.simulator.openai.body import json_body
from pulse_gateway.testing.simulator.openai.embeddings import embeddings
from pulse_gateway.testing.simulator.openai.errors import Injected
from pulse_gateway.testing.simulator.openai.images import edit, generate
from pulse_gateway.testing.simulator.openai.moderations import moderate
from pulse_gateway.testing.simulator.openai.responses.events import event_frame
from pulse_gateway.testing.simulator.openai.responses.operation import Responses
from pulse_gateway.testing.simulator.openai.speech import speech
from pulse_gateway.testing.simulator.openai.transcription import transcribe, translate
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.vendor import Chat, Refusal, Request, Target

__all__ = ["Operations", "broken_event", "operation_error_frame"]

_Operation = Callable[[Request, str], Work | Chat]


class Operations:
    """Keeps what `store` asks for; one for each vendor."""

    def __init__(self, seed: int, config: Config) -> None:
        self._words: dict[tuple[str, str], str] = {  # method and path → the operation's word
            ("POST", "embeddings"): "embeddings",
            ("POST", "audio/speech"): "speech",
            ("POST", "audio/transcriptions"): "transcription",
            ("POST", "audio/translations"): "translation",
            ("POST", "images/generations"): "images",
            ("POST", "images/edits"): "image_edits",
            ("POST", "moderations"): "moderation",
            ("POST", "responses"): "responses",
            ("POST", "responses/input_tokens"): "responses.input_tokens",
        }
        self._paths = {path for _, path in self._words}
        one = r"responses/[^/]+"
        self._patterns: tuple[tuple[str, re.Pattern[str], str], ...] = (
            ("GET", re.compile(one), "responses.retrieve"),
            ("DELETE", re.compile(one), "responses.delete"),
            ("POST", re.compile(f"{one}/cancel"), "responses.cancel"),
            ("GET", re.compile(f"{one}/input_items"), "responses.input_items"),
        )
        self._responses = responses = Responses(seed, config)
        self._operations: dict[str, _Operation] = {
            "embeddings": lambda request, model: embeddings(json_body(request, model), seed),
            "speech": lambda request, model: speech(json_body(request, model), config.models),
            "transcription": lambda request, model: transcribe(request, model, seed, config.models),
            "translation": lambda request, model: translate(request, model, seed, config.models),
            "images": lambda request, model: generate(request, model, seed, config.models),
            "image_edits": lambda request, model: edit(request, model, seed, config.models),
            "moderation": lambda request, model: moderate(json_body(request, model), seed),
            "responses": responses.create,
            "responses.input_tokens": responses.count,
            "responses.retrieve": responses.retrieve,
            "responses.delete": responses.delete,
            "responses.cancel": responses.cancel,
            "responses.input_items": responses.input_items,
        }

    def target(self, method: str, path: str, model: str = "") -> Target | None:
        """What a path asks for; None: nothing that is offered here. `model` is what the path names, if it names one."""
        word = self._words.get((method, path))
        if word is not None:
            return Target(word, model)
        if path in self._paths:
            return Target("wrong method", model)
        if not path.startswith("responses/"):
            return None
        known = False
        for its_method, pattern, word in self._patterns:
            if pattern.fullmatch(path):
                if its_method == method:
                    return Target(word, model)
                known = True
        return Target("wrong method", model) if known else None

    def work(self, request: Request, target: Target) -> Work | Chat:
        """Raises: Refusal."""
        return self._operations[target.operation](request, target.model)

    def reset(self) -> None:
        """Forget what was stored."""
        self._responses.reset()


def operation_error_frame(refusal: Refusal, word: str) -> bytes:
    """An error in the stream of an operation; nothing can be said in one of audio."""
    if word == "speech":
        return b""
    if word.startswith("responses"):
        number = refusal.after_frames if isinstance(refusal, Injected) else 0
        members = {key: refusal.error.get(key) for key in ("code", "message", "param")}
        return event_frame("error", members, number)
    return b"event: error\ndata: " + msgspec.json.encode({"type": "error", "error": refusal.error}) + b"\n\n"


def broken_event(frame: bytes) -> bytes:
    """An event with its JSON cut in half; of anything else the first half."""
    start = frame.find(b"data: ")
    if start < 0:
        return frame[: len(frame) // 2]
    return frame[: start + (len(frame) - start) // 2].rstrip(b"\n") + b"\n\n"
