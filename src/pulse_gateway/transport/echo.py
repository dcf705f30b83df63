"""An upstream without a network: the `echo` models answer with the last user message, word by word when streamed."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import msgspec

from pulse_gateway.transport.transport import OnSend
from pulse_gateway.types.http import Headers, HttpRequest, Timeouts

__all__ = ["EchoTransport"]

_SCHEME = "echo:"
_PIECES_PER_TURN = 64
_WORDS = re.compile(r"\s*\S+\s*|\s+")
_encode = msgspec.json.encode


class _TextPart(msgspec.Struct):
    type: str = "text"
    text: str | None = None


class _Message(msgspec.Struct):
    role: str
    content: str | list[_TextPart] | None = None


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = False


class _Format(msgspec.Struct):
    type: str = "text"


class _Request(msgspec.Struct):
    """What an echo does, and what changes nothing about one. Everything else it refuses by name."""

    model: str
    messages: list[_Message]
    stream: bool | None = False
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    response_format: _Format | None = None


_decode = msgspec.json.Decoder(_Request).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_HARMLESS = frozenset({
    "temperature", "top_p", "seed", "presence_penalty", "frequency_penalty", "user", "safety_identifier", "metadata", "store",
    "service_tier", "prompt_cache_key", "reasoning_effort", "verbosity",
})  # fmt: skip
_EMPTY = frozenset({b"null", b"[]", b"{}", b"false"})


def _lacking(body: bytes, asked: _Request) -> str | None:
    """The first member that an echo cannot honour."""
    for name, raw in _decode_members(body).items():
        if name not in _HARMLESS and name not in _Request.__struct_fields__ and bytes(raw) not in _EMPTY:
            return name
    if any(part.type != "text" for each in asked.messages if isinstance(each.content, list) for part in each.content):
        return "messages"
    if asked.n is not None and asked.n > 1:
        return "n"
    return "response_format" if asked.response_format is not None and asked.response_format.type != "text" else None


class _Answer:
    """An `HttpResponse` that was known from the start."""

    def __init__(self, headers: Headers, pieces: Iterable[bytes], status: int = 200) -> None:
        self.status = status
        self.headers = headers
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for number, piece in enumerate(self._pieces):
            if number % _PIECES_PER_TURN == _PIECES_PER_TURN - 1:
                await asyncio.sleep(0)  # a long echo must not keep everybody else waiting
            yield piece
        self._pieces = []

    def read_now(self) -> bytes | None:
        """Of an answer that is one piece, that piece; a stream takes its turns."""
        if not isinstance(self._pieces, list):
            return None
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)

    async def aclose(self) -> None:
        self._pieces = ()


class EchoTransport:
    """Answers requests to `echo:` URLs. Deterministic: the same request gives the same bytes.

    Usage counts words: every run of non-space characters is one token.
    """

    async def send(
        self, request: HttpRequest, timeouts: Timeouts, /, *, proxy: str | None = None, on_send: OnSend | None = None
    ) -> _Answer:
        if on_send is not None:
            on_send()
        asked = _decode(request.body)
        if (name := _lacking(request.body, asked)) is not None:
            return _Answer((("content-type", "application/json"),), [_refusal(name)], status=400)
        words = _WORDS.findall(_last_user_text(asked.messages))
        most = asked.max_completion_tokens or asked.max_tokens
        finish = "length" if most is not None and most < len(words) else "stop"
        text = "".join(words[:most])
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
            choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
            return _Answer(
                (("content-type", "application/json"),), [_encode({**identity, "choices": [choice], "usage": usage})]
            )
        show_usage = asked.stream_options is not None and bool(asked.stream_options.include_usage)
        return _Answer(
            (("content-type", "text/event-stream"),), _stream(identity, text, finish, usage if show_usage else None)
        )

    async def aclose(self) -> None:
        """Nothing is open."""

    @staticmethod
    def serves(request: HttpRequest) -> bool:
        return request.url.startswith(_SCHEME)


def _refusal(name: str) -> bytes:
    message = f"the model echo only repeats the last user message; it cannot honour {name}"
    error = {"message": message, "type": "invalid_request_error", "param": name, "code": "unsupported_parameter"}
    return _encode({"error": error})


def _text_of(message: _Message) -> str:
    if isinstance(message.content, str):
        return message.content
    return "".join(part.text or "" for part in message.content or () if part.type == "text")


def _last_user_text(messages: list[_Message]) -> str:
    users = [message for message in messages if message.role == "user"]
    return _text_of((users or messages)[-1])


def _stream(identity: dict[str, Any], text: str, ended: str, usage: dict[str, int] | None) -> Iterator[bytes]:
    """Frames as they are asked for: never all at once."""
    extra: dict[str, Any] = {} if usage is None else {"usage": None}

    def frame(choices: list[dict[str, Any]], **more: Any) -> bytes:
        return b"data: " + _encode({**identity, "choices": choices, **extra, **more}) + b"\n\n"

    def delta(value: dict[str, Any], finish: str | None = None) -> bytes:
        return frame([{"index": 0, "delta": value, "logprobs": None, "finish_reason": finish}])

    yield delta({"role": "assistant", "content": ""})
    for word in _WORDS.finditer(text):
        yield delta({"content": word[0]})
    yield delta({}, ended)
    if usage is not None:
        yield frame([], usage=usage)
    yield b"data: [DONE]\n\n"
