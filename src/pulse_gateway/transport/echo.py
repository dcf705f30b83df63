"""An upstream without a network: the `echo` models answer with the last user message, word by word when streamed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from pulse_gateway.types.http import Headers, HttpRequest, Timeouts

__all__ = ["EchoTransport"]

_SCHEME = "echo:"
_WORDS = re.compile(r"\S+\s*|\s+")
_encode = msgspec.json.encode


class _TextPart(msgspec.Struct):
    type: str = "text"
    text: str = ""


class _Message(msgspec.Struct):
    role: str
    content: str | list[_TextPart] | None = None


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class _Request(msgspec.Struct):
    model: str
    messages: list[_Message]
    stream: bool | None = False
    stream_options: _StreamOptions | None = None


_decode = msgspec.json.Decoder(_Request).decode


class _Answer:
    """An `HttpResponse` that was known from the start."""

    status = 200

    def __init__(self, headers: Headers, pieces: list[bytes]) -> None:
        self.headers = headers
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

    async def aclose(self) -> None:
        self._pieces = []


class EchoTransport:
    """Answers requests to `echo:` URLs. Deterministic: the same request gives the same bytes.

    Usage counts words: every run of non-space characters is one token.
    """

    async def send(self, request: HttpRequest, timeouts: Timeouts, /, *, proxy: str | None = None) -> _Answer:
        asked = _decode(request.body)
        text = _last_user_text(asked.messages)
        words = _WORDS.findall(text) or [""]
        identity = {
            "id": "chatcmpl-echo-" + hashlib.sha256(request.body).hexdigest()[:24],
            "object": "chat.completion.chunk" if asked.stream else "chat.completion",
            "created": 0,
            "model": asked.model,
        }
        prompt_tokens = sum(len(_text_of(message).split()) for message in asked.messages)
        completion_tokens = len(text.split())
        usage = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        }
        if not asked.stream:
            message = {"role": "assistant", "content": text, "refusal": None}
            choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
            return _Answer(
                (("content-type", "application/json"),), [_encode({**identity, "choices": [choice], "usage": usage})]
            )
        show_usage = asked.stream_options is not None and asked.stream_options.include_usage
        return _Answer(
            (("content-type", "text/event-stream"),), _stream(identity, words, usage if show_usage else None)
        )

    async def aclose(self) -> None:
        """Nothing is open."""

    @staticmethod
    def serves(request: HttpRequest) -> bool:
        return request.url.startswith(_SCHEME)


def _text_of(message: _Message) -> str:
    if isinstance(message.content, str):
        return message.content
    return "".join(part.text for part in message.content or () if part.type == "text")


def _last_user_text(messages: list[_Message]) -> str:
    users = [message for message in messages if message.role == "user"]
    return _text_of((users or messages)[-1])


def _stream(identity: dict[str, Any], words: list[str], usage: dict[str, int] | None) -> list[bytes]:
    extra: dict[str, Any] = {} if usage is None else {"usage": None}

    def frame(choices: list[dict[str, Any]], **more: Any) -> bytes:
        return b"data: " + _encode({**identity, "choices": choices, **extra, **more}) + b"\n\n"

    def delta(value: dict[str, Any], finish: str | None = None) -> bytes:
        return frame([{"index": 0, "delta": value, "logprobs": None, "finish_reason": finish}])

    frames = [
        delta({"role": "assistant", "content": ""}),
        *(delta({"content": word}) for word in words),
        delta({}, "stop"),
    ]
    if usage is not None:
        frames.append(frame([], usage=usage))
    return [*frames, b"data: [DONE]\n\n"]
