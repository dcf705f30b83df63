"""What a request costs between its bytes and those of the provider, without a network on either side: `python -m benchmarks.pipeline`.

The whole gateway as a library, with a key's principal, a rate limit, a held token quota and the ledger in memory, and a transport that answers from memory.
µs of CPU each: the median of several rounds, with the spread.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import uvloop

from benchmarks.codecs import stream
from benchmarks.command import run, spread
from pulse_gateway import Config, Gateway, Inbound
from pulse_gateway.config import LimitsConfig, ProviderConfig
from pulse_gateway.transport.transport import OnSend
from pulse_gateway.types.http import Headers, HttpRequest, Timeouts

_AT_ONCE = 250
_WHOLE = msgspec.json.encode(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-5.2",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Amman. " * 40},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 97, "total_tokens": 106},
    }
)


class _Answer:
    """`slices`, each as if it had just arrived."""

    status = 200

    def __init__(self, content_type: str, slices: list[bytes]) -> None:
        self.headers: Headers = (("content-type", content_type),)
        self._slices = slices

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for each in self._slices:
            yield each

    def read_now(self) -> bytes | None:
        return self._slices[0] if len(self._slices) == 1 else None

    async def aclose(self) -> None:
        return


class _Memory:
    def __init__(self, content_type: str, slices: list[bytes]) -> None:
        self._content_type, self._slices = content_type, slices

    async def send(
        self, request: HttpRequest, timeouts: Timeouts, /, *, proxy: str | None = None, on_send: OnSend | None = None
    ) -> _Answer:
        if on_send is not None:
            on_send()
        return _Answer(self._content_type, self._slices)

    async def aclose(self) -> None:
        return


def _chat(**more: Any) -> bytes:
    return msgspec.json.encode(
        {"model": "gpt-5.2", "messages": [{"role": "user", "content": "What is the capital of Jordan?"}], **more}
    )


def cases() -> dict[str, tuple[str, bytes, str, list[bytes]]]:
    frames = stream()
    told = {"stream": True, "stream_options": {"include_usage": True}}
    claude = msgspec.json.encode(
        {
            "model": "gpt-5.2",
            "max_tokens": 100,
            "messages": [{"role": "user", "content": "What is the capital of Jordan?"}],
            "stream": True,
        }
    )
    sse = "text/event-stream"
    return {
        "a chat, whole": ("openai.chat", _chat(), "application/json", [_WHOLE]),
        "100 chunks passed through, chunk by chunk": ("openai.chat", _chat(**told), sse, frames),
        "the same, usage hidden": ("openai.chat", _chat(stream=True), sse, frames),
        "the same, in one slice": ("openai.chat", _chat(**told), sse, [b"".join(frames)]),
        "100 chunks for Anthropic's client": ("anthropic.messages", claude, sse, frames),
    }


async def _each_us(dialect: str, body: bytes, content_type: str, slices: list[bytes], profile: Any = None) -> float:
    config = Config(
        providers={"openai": ProviderConfig(key="k", base_url="http://127.0.0.1:1/v1")},
        limits=LimitsConfig(requests="100000000/60s"),
    )
    async with Gateway(config, observers=(), transport=_Memory(content_type, slices)) as gateway:
        principal = gateway.principal("u1")
        inbound = Inbound(dialect=dialect, body=body, principal=principal)

        async def once() -> None:
            reply = await gateway.handle(inbound)
            if reply.status != 200:
                raise RuntimeError(f"the gateway answered {reply.status}: {reply.body!r}")
            if reply.stream is not None:
                async for _ in reply.stream:
                    pass

        for _ in range(_AT_ONCE):
            await once()
        if profile is not None:
            profile.enable()
        before = time.process_time()
        for _ in range(_AT_ONCE):
            await once()
        spent = time.process_time() - before
        if profile is not None:
            profile.disable()
        return spent / _AT_ONCE * 1e6


def measure(rounds: int) -> dict[str, Any]:
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, case in cases().items():
            found.setdefault(name, []).append(uvloop.run(_each_us(*case)))
    return {"cpu_us": found}


def lines(found: dict[str, Any]) -> list[str]:
    return ["between the client's bytes and the provider's, µs of CPU each:"] + [
        f"  {name:<44} {spread(values)}" for name, values in found["cpu_us"].items()
    ]


if __name__ == "__main__":
    sys.exit(run("pipeline", __doc__, measure, lines, rounds=5))
