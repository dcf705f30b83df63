"""What the codecs of operations share whose answer always comes in one piece."""

from __future__ import annotations

from typing import Any, Protocol

from pulse_gateway.errors import PulseError
from pulse_gateway.types.events import Event
from pulse_gateway.types.http import Payload
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.codec import StreamDecoder
from pulse_gateway.wire.foreign_json import not_of_protocol
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.sse import ServerSentEvent

__all__ = ["WholeAnswer", "note"]


class WholeAnswer(Protocol):
    """Subclass it: the streaming half of `OperationCodec`, for dialects that have none."""

    keep_alive: bytes | None = None

    def encode_reply(self, reply: Any, request: Any) -> Payload: ...

    def encode_stream(self, reply: Any, request: Any) -> Payload:
        """Nobody can ask for one."""
        return self.encode_reply(reply, request)

    def stream_error(self, error: PulseError, request_id: str) -> bytes | None:
        return None

    def decoder(self) -> StreamDecoder:
        """For a provider that streams all the same."""
        return _Unasked()


class _Unasked:
    def decode(self, frame: ServerSentEvent) -> list[Event]:
        raise not_of_protocol("a stream, which nobody asked for")

    def finish(self) -> list[Event]:
        return []


def note(reading: Reading, usage: Usage | None) -> None:
    """The answer is here as a whole, with this `usage`. None: the provider does not say."""
    reading.started = reading.ended = True
    reading.usage = usage
    reading.usage_is_final = usage is not None
