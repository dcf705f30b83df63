"""What reading and translating costs, within one process and without a network: `python -m benchmarks.codecs`.

CPU of one call, from the process's own clock: the median of several rounds, with the spread.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec

from benchmarks.command import run, spread
from pulse_gateway.types.http import Payload
from pulse_gateway.wire.multipart import FormPart, build_form
from pulse_gateway.wire.passthrough import Passthrough
from pulse_gateway.wire.registry import codec, operation_codec
from pulse_gateway.wire.translate import Translate

BODY_BYTES = 100 * 1024
CHUNKS = 100
TEXT = "The quick brown fox jumps over the lazy dog. السلام عليكم ورحمة الله. "


def chats() -> dict[str, bytes]:
    """A request of about 100 KiB in each dialect: ten turns."""
    turn = (TEXT * (BODY_BYTES // 10 // len(TEXT.encode()) + 1)).encode()[: BODY_BYTES // 10].decode("utf-8", "ignore")
    roles = ["user", "assistant"] * 5
    messages = [{"role": role, "content": turn} for role in roles]
    items = [
        {"role": role, "content": [{"type": "input_text" if role == "user" else "output_text", "text": turn}]}
        for role in roles
    ]
    contents = [{"role": "user" if role == "user" else "model", "parts": [{"text": turn}]} for role in roles]
    bodies: dict[str, Any] = {
        "openai.chat": {"model": "gpt-5.2", "messages": messages, "stream": True},
        "openai.responses": {"model": "gpt-5.2", "input": items, "stream": True},
        "anthropic.messages": {"model": "claude-opus-5", "max_tokens": 1000, "messages": messages, "stream": True},
        "gemini": {"contents": contents},
    }
    return {dialect: msgspec.json.encode(body) for dialect, body in bodies.items()}


def stream() -> list[bytes]:
    """A streamed answer of OpenAI's, one slice an event."""

    def frame(**members: Any) -> bytes:
        chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5.2", **members}
        return b"data: " + msgspec.json.encode(chunk) + b"\n\n"

    def delta(words: dict[str, str], finish: str | None = None) -> bytes:
        return frame(choices=[{"index": 0, "delta": words, "finish_reason": finish}], usage=None)

    said = [delta({"content": f" word{place}"}) for place in range(CHUNKS - 3)]
    usage = {"prompt_tokens": 9, "completion_tokens": 97, "total_tokens": 106}
    return [
        delta({"role": "assistant", "content": ""}),
        *said,
        delta({}, "stop"),
        frame(choices=[], usage=usage),
        b"data: [DONE]\n\n",
    ]


def pieces() -> dict[str, Callable[[], object]]:
    found: dict[str, Callable[[], object]] = {}
    for dialect, body in chats().items():
        read = codec(dialect).read_envelope
        model = {"model": "gemini-3.8-flash", "stream": True} if dialect == "gemini" else {}
        found[f"envelope of 100 KiB, {dialect}"] = lambda read=read, body=body, model=model: read(body, **model)
    frames, whole = stream(), b"".join(stream())
    openai, anthropic = codec("openai.chat"), codec("anthropic.messages")

    def translated() -> None:
        relay = Translate(openai, anthropic, "gpt-5.2", "req_1", include_usage=True)
        for each in frames:
            relay.feed(each)
        relay.finish()

    def passed(slices: list[bytes]) -> Callable[[], None]:
        def once() -> None:
            relay = Passthrough(openai, "gpt-5.2")
            for each in slices:
                relay.feed(each)
            relay.finish()

        return once

    found["stream of 100 chunks, OpenAI to Anthropic"] = translated
    found["the same passed through, chunk by chunk"] = passed(frames)
    found["the same passed through, in one slice"] = passed([whole])
    embeddings, speech = operation_codec("openai.embeddings"), operation_codec("openai.transcriptions")
    texts = Payload(msgspec.json.encode({"model": "text-embedding-3-small", "input": [TEXT] * 100}))
    form = build_form(
        [FormPart(name="model", data=b"whisper-1"), FormPart(name="file", data=bytes(1_000_000), filename="a.wav")]
    )
    found["envelope of 100 texts to embed"] = lambda: embeddings.read_envelope(texts)
    found["another model into a form of 1 MB"] = lambda: speech.rewrite_request(form, model="gpt-4o-transcribe")
    return found


def measure(rounds: int) -> dict[str, Any]:
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, once in pieces().items():
            once()
            times, spent = 0, 0.0
            before = time.process_time()
            while spent < 0.15:
                for _ in range(20):
                    once()
                times += 20
                spent = time.process_time() - before
            found.setdefault(name, []).append(spent / times * 1e6)
    return {"cpu_us": found}


def lines(found: dict[str, Any]) -> list[str]:
    return ["reading and translating, µs of CPU each:"] + [
        f"  {name:<44} {spread(values)}" for name, values in found["cpu_us"].items()
    ]


if __name__ == "__main__":
    sys.exit(run("codecs", __doc__, measure, lines, rounds=5))
