"""Two vendors that do not exist: one that does nothing otherwise, and one that does what careless ones do, all at once.

The latter: an empty string where OpenAI says null, nothing that could be left out, the finish reason before the last text, the usage
with it, comments, `data:` without its space and in several lines, codes that are numbers, and no `[DONE]`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from pulse_gateway.testing.simulator.compatible.base import Chunk, Compatible, Told
from pulse_gateway.testing.simulator.vendor import Refusal

__all__ = ["Oddities", "Plain"]


_EVERYTHING = frozenset(
    {
        "embeddings", "image_edits", "images", "moderation", "rerank", "responses", "speech", "transcription", "translation",
    }
)  # fmt: skip


class Plain(Compatible):
    """OpenAI's API to the letter, behind an address of its own, and rerank."""

    name = "plain"
    offers = _EVERYTHING
    reads = frozenset({"file", "image_url", "input_audio"})
    reasoners = "reason"
    listed: ClassVar[tuple[str, ...]] = ("plain-1",)


class Oddities(Compatible):
    """Valid for whoever reads tolerantly."""

    name = "oddities"
    offers = _EVERYTHING
    reads = frozenset({"file", "image_url", "input_audio"})
    ignores_unknown = True
    needs_key = False
    reasoners = "think"
    usage_in = "finish"
    comment = b":\n\n: hold on\n"
    ends_with_done = False
    listed: ClassVar[tuple[str, ...]] = ("odd-1",)

    def message(self, message: dict[str, Any], reasoning: str) -> None:
        super().message(message, reasoning)
        if message["content"] is None:
            message["content"] = ""
        for name in ("refusal", "annotations"):
            message.pop(name)

    def reply(self, reply: dict[str, Any], told: Told) -> None:
        for name in ("id", "created", "object", "system_fingerprint"):
            reply.pop(name)
        for choice in reply["choices"]:
            choice.pop("logprobs")
            if len(reply["choices"]) == 1:
                choice.pop("index")

    def chunks(self, chunks: list[Chunk], told: Told) -> None:
        if len(chunks) > 2 and len(told.answer.choices) == 1:
            finish = chunks[-1].data["choices"][0]["finish_reason"]
            chunks[-1].data["choices"][0]["finish_reason"] = None
            chunks[-2].data["choices"][0]["finish_reason"] = finish
        for chunk in chunks:
            for name in ("id", "created", "object", "system_fingerprint"):
                chunk.data.pop(name)
            for choice in chunk.data["choices"]:
                choice.pop("logprobs")

    def event(self, chunk: dict[str, Any]) -> bytes:
        whole = msgspec.json.encode(chunk)
        comma = whole.find(b',"choices"') + 1
        return (
            b"data:%b\ndata:%b\n\n: more to come\n\n" % (whole[:comma], whole[comma:])
            if comma
            else b"data:%b\n\n" % whole
        )

    def error_body(self, refusal: Refusal) -> Any:
        return {"error": {"message": refusal.error.get("message"), "code": refusal.status}}
