"""How an answer goes over the wire: its frames, their pace, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from pulse_gateway.testing.simulator.answer import Usage
from pulse_gateway.testing.simulator.config import Pace
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.stats import Outcome, Tracker
from pulse_gateway.testing.simulator.vendor import Frame

__all__ = ["Delivery", "Ending", "Slicing", "apply_faults"]

Ending = Literal["complete", "cut", "drop", "reset", "stall"]
Slicing = Literal["whole", "one-byte", "split"]

_SLICE_BYTES = 64
_LIE_BYTES = 64  # how much longer `wrong-length` says the body is


class Delivery(msgspec.Struct, kw_only=True):
    """Everything the connection needs to answer one request."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str
    frames: list[Frame]
    chunked: bool = False  # length unknown at the head: HTTP chunks
    claimed_bytes: int | None = None  # the content-length to state, if not the true one
    ending: Ending = "complete"
    outcome: Outcome = "completed"  # unless the client leaves first
    delay_s: float = 0.0  # before the head
    chunk_delay_s: float = 0.0  # between frames
    tokens_per_second: float | None = None  # slows frames down further
    slicing: Slicing = "whole"
    usage: Usage | None = None  # owed once the head is out
    tracker: Tracker

    @property
    def is_simple(self) -> bool:
        """Nothing to wait for: head and body can go out in one write."""
        return (
            not self.chunked
            and self.claimed_bytes is None
            and self.ending == "complete"
            and not self.delay_s
            and self.slicing == "whole"
        )


def apply_faults(
    delivery: Delivery, faults: Faults, pace: Pace, break_frame: Callable[[bytes], bytes], error_frame: bytes
) -> None:
    """Bend a good answer to what `faults` asks for; `error_frame` is what `error=K` puts after K frames.

    A body that is not streamed counts as frames of 64 bytes.
    """
    delivery.delay_s = faults.delay or pace.first_byte_delay_s
    delivery.slicing = "one-byte" if faults.one_byte else "split" if faults.split else "whole"
    if faults.content_type is not None:
        delivery.content_type = faults.content_type
    if delivery.chunked:
        delivery.chunk_delay_s = pace.chunk_delay_s if faults.chunk_delay is None else faults.chunk_delay
        delivery.tokens_per_second = pace.tokens_per_second
    if faults.malformed is not None:
        _break(delivery, faults.malformed, break_frame)
    if faults.empty:
        delivery.frames = []
        delivery.outcome = "faulted"
    if faults.wrong_length:
        delivery.claimed_bytes = sum(len(frame.data) for frame in delivery.frames) + _LIE_BYTES
        delivery.chunked = False
        delivery.ending = "drop"
    if faults.error is not None and delivery.chunked:
        _end_after(delivery, min(faults.error, max(0, len(delivery.frames) - 1)))  # never after the end mark
        last = delivery.frames[-1] if delivery.frames else Frame(b"")
        delivery.frames.append(Frame(error_frame, last.output_tokens, last.reasoning_tokens))
        delivery.outcome = "faulted"
    endings: tuple[tuple[Ending, int | None], ...] = (
        ("cut", faults.cut),
        ("drop", faults.drop),
        ("reset", faults.reset),
        ("stall", faults.stall),
    )
    for ending, after in endings:
        if after is not None:
            if ending == "cut" and delivery.chunked and after >= len(delivery.frames):
                continue  # there is nothing left to cut
            if not delivery.chunked:
                delivery.claimed_bytes = sum(len(frame.data) for frame in delivery.frames)
                delivery.frames = _slices(delivery.frames)
            _end_after(delivery, after)
            delivery.ending = ending
            delivery.outcome = "faulted"
    if delivery.status >= 400:
        delivery.outcome = "refused"


def _break(delivery: Delivery, which: int, break_frame: Callable[[bytes], bytes]) -> None:
    at = which - 1 if delivery.chunked else 0
    if at < len(delivery.frames):
        frame = delivery.frames[at]
        delivery.frames[at] = Frame(break_frame(frame.data), frame.output_tokens, frame.reasoning_tokens)


def _end_after(delivery: Delivery, frames: int) -> None:
    delivery.frames = delivery.frames[:frames]


def _slices(frames: list[Frame]) -> list[Frame]:
    """Pieces of a body that is not streamed; it counts as produced when its last byte is out."""
    sliced: list[Frame] = []
    for frame in frames:
        pieces = [Frame(frame.data[at : at + _SLICE_BYTES]) for at in range(0, len(frame.data), _SLICE_BYTES)]
        if pieces:
            pieces[-1] = Frame(pieces[-1].data, frame.output_tokens, frame.reasoning_tokens)
        sliced += pieces
    return sliced
