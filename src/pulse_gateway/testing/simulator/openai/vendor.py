"""OpenAI behind the server's `Vendor` face."""

from __future__ import annotations

from functools import partial

import msgspec

from pulse_gateway.testing.simulator.config import Config, Models
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.openai.errors import injected, malformed, refuse
from pulse_gateway.testing.simulator.openai.models import OPENAI_FAMILY, Traits, is_retired, traits_of
from pulse_gateway.testing.simulator.openai.reading import Reader
from pulse_gateway.testing.simulator.openai.rendering import render_reply, render_stream
from pulse_gateway.testing.simulator.openai.rules import check, check_messages
from pulse_gateway.testing.simulator.openai.schema import ChatRequest
from pulse_gateway.testing.simulator.prompt import Prompt
from pulse_gateway.testing.simulator.tokens import Tally
from pulse_gateway.testing.simulator.vendor import Chat, Refusal, Request, Target

__all__ = ["OpenAI", "chat_prompt", "check_family", "no_model"]

_DECODER = msgspec.json.Decoder(ChatRequest)
_ENCODE = msgspec.json.encode
_FOREIGN = ("claude", "gemini")
_CREATED = 1_767_225_600


class OpenAI:
    """Source: https://developers.openai.com/api/docs/api-reference (read 2026-11-24)"""

    name = "openai"

    def __init__(self, seed: int, config: Config) -> None:
        self._seed = seed
        self._accepted = frozenset(config.keys.accepted)
        self._models = config.models
        limits = config.rate_limits
        reset = _duration(limits.reset_s)
        self._head = (
            ("openai-organization", "org-simulated"),
            ("openai-processing-ms", "12"),
            ("openai-version", "2020-10-01"),
            ("x-ratelimit-limit-requests", str(limits.requests)),
            ("x-ratelimit-remaining-requests", str(limits.requests_remaining)),
            ("x-ratelimit-reset-requests", reset),
            ("x-ratelimit-limit-tokens", str(limits.tokens)),
            ("x-ratelimit-remaining-tokens", str(limits.tokens_remaining)),
            ("x-ratelimit-reset-tokens", reset),
        )

    def admit(self, request: Request, target: Target) -> None:
        if target.operation == "unknown path":
            raise refuse(f"Invalid URL ({request.method} {request.path})", status=404)
        if target.operation == "wrong method":
            raise refuse(f"Not allowed to {request.method} on {request.path}.", status=405)
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise refuse(
                "You didn't provide an API key. You need to provide your API key in an Authorization header using "
                "Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
                status=401,
            )
        if key == "wrong" or (self._accepted and key not in self._accepted):
            raise refuse(f"Incorrect API key provided: {_masked(key)}.", code="invalid_api_key", status=401)

    def read(self, request: Request, target: Target) -> Chat:
        try:
            chat = _DECODER.decode(request.body)
        except msgspec.ValidationError as error:
            raise malformed(error) from error
        except msgspec.DecodeError as error:
            raise refuse(
                "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your "
                f"HTTP library correctly.) {error}"
            ) from error
        model, spec = split_model(chat.model)
        check_family(model, self._models)
        prompt = chat_prompt(chat, self._seed, self.name, model, traits_of(model))
        stream = bool(chat.stream)
        return Chat(
            model=chat.model,
            fault_spec=spec,
            prompt=prompt,
            stream=stream,
            content_type="text/event-stream; charset=utf-8" if stream else "application/json",
            render=partial(render_stream if stream else render_reply, chat),
        )

    def models(self, target: Target) -> bytes:
        if target.model:
            check_family(target.model, self._models)
            if not target.model.startswith(OPENAI_FAMILY) and target.model not in self._models.openai:
                raise no_model(target.model)
            return _ENCODE(_model(target.model))
        return _ENCODE({"object": "list", "data": [_model(name) for name in self._models.openai]})

    def head(self, request_id: str) -> tuple[tuple[str, str], ...]:
        return (("x-request-id", request_id), *self._head)

    def invalid(self, message: str) -> Refusal:
        return refuse(message)

    def injected(self, faults: Faults) -> Refusal:
        return injected(faults)

    def envelope(self, refusal: Refusal, request_id: str, target: Target) -> bytes:
        return _ENCODE({"error": refusal.error})

    def error_frame(self, refusal: Refusal, request_id: str, target: Target, *, is_first: bool) -> bytes:
        return b"data: " + self.envelope(refusal, request_id, target) + b"\n\n"

    def break_frame(self, frame: bytes) -> bytes:
        if not frame.startswith(b"data: "):
            return frame[: len(frame) // 2]
        return frame[: len(frame) // 2].rstrip(b"\n") + b"\n\n"


def chat_prompt(chat: ChatRequest, seed: int, vendor: str, model: str, traits: Traits) -> Prompt:
    """What is understood of a chat, once nothing in it is wrong.

    Raises: Refusal.
    """
    check_messages(chat.messages)
    reader = Reader(Tally(seed, vendor, model))
    text = reader.messages(chat)
    check(chat, model, traits, text)
    return reader.prompt(chat, traits)


def check_family(model: str, models: Models) -> None:
    """Raises: Refusal for a model of another vendor, and for one that is no longer served."""
    if models.check_family and (model.startswith(_FOREIGN) or is_retired(model)):
        raise no_model(model)


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "openai"}


def no_model(model: str) -> Refusal:
    sentence = f"The model `{model}` does not exist or you do not have access to it."
    return refuse(sentence, code="model_not_found", status=404)


def _duration(seconds: float) -> str:
    """`6ms`, `1.5s`, `6m0s`: the form of the reset headers."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:.0f}m{rest:g}s" if minutes else f"{rest:g}s"


def _masked(key: str) -> str:
    return f"{key[:2]}***{key[-2:]}" if len(key) > 8 else "***"
