"""What of a chat counts, and what the three dialects of counting share."""

from __future__ import annotations

from typing import Any

import msgspec

from pulse_gateway.errors import PulseError
from pulse_gateway.types.chat import ChatRequest
from pulse_gateway.types.http import Payload
from pulse_gateway.types.token_counts import NOTHING_USED
from pulse_gateway.wire import registry
from pulse_gateway.wire.codec import Codec, Envelope
from pulse_gateway.wire.foreign_json import from_provider
from pulse_gateway.wire.json_splice import set_members
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.whole_answer import WholeAnswer, note

__all__ = ["Counting", "counted", "free"]

_UNCOUNTED = (
    "max_output_tokens", "temperature", "top_p", "top_k", "stop", "n", "seed", "presence_penalty", "frequency_penalty",
    "logprobs", "top_logprobs", "user",
)  # fmt: skip


def counted(request: ChatRequest) -> tuple[ChatRequest, tuple[str, ...]]:
    """`request` without what changes no count, and the neutral names of what was left out.

    Limits, sampling and labels say how to answer: a prompt is as long with them as without.
    """
    unset = ChatRequest(model="", messages=())
    left_out = {name: getattr(unset, name) for name in _UNCOUNTED if getattr(request, name) != getattr(unset, name)}
    bare = msgspec.structs.replace(request, **left_out, stream=False, include_usage=False)
    return bare, tuple(left_out)


class Counting(WholeAnswer):
    """Counting in the dialect of chat `chat`: what clients send is a chat, and so is what reaches vendors."""

    operation = "count_tokens"
    chat: str

    def read_envelope(self, body: Payload, *, model: str | None = None, stream: bool | None = None) -> Envelope:
        return free(self._chat().read_envelope(body.data, model=model, stream=False))

    def decode_request(self, body: Payload, *, model: str | None = None, stream: bool | None = None) -> ChatRequest:
        return self._chat().decode_request(body.data, model=model, stream=False)

    def encode_error(self, error: PulseError, request_id: str) -> bytes:
        return self._chat().encode_error(error, request_id)

    def rewrite_request(self, body: Payload, *, model: str) -> Payload:
        return Payload(set_members(body.data, model=model), body.content_type)

    def read_reply(self, answer: Payload, reading: Reading) -> None:
        """Counting is free."""
        from_provider(_object, answer.data)
        note(reading, NOTHING_USED)

    def _chat(self) -> Codec:
        return registry.codec(self.chat)


class _Object(msgspec.Struct):
    """Any JSON object."""


_object = msgspec.json.Decoder(_Object).decode


def free(envelope: Envelope) -> Envelope:
    """The same, with nothing to hold for it."""
    changes: dict[str, Any] = {"stream": False, "max_output_tokens": 0, "n": 1, "expected": NOTHING_USED}
    return msgspec.structs.replace(envelope, **changes)
