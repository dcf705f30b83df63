"""A prediction's output as server-sent events; each has an id.

Source: https://replicate.com/docs/topics/predictions/streaming (read 2026-11-24) and replicate 1.0.7
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.replicate.predictions import Prediction
from pulse_gateway.testing.simulator.vendor import Frame

__all__ = ["render_stream"]

_REASONS = {"failed": "error", "canceled": "canceled", "aborted": "canceled"}


def render_stream(prediction: Prediction, now: Callable[[], float], faults: Faults) -> list[Frame]:
    """Everything up to `done`. The prediction is over when it is looked at after that; until then it can be canceled.

    What is written is billed as it goes out, with the thinking before the first piece of it.
    """
    prediction.expire(now())
    is_first = not prediction.is_done and not prediction.is_streamed
    if not prediction.is_done:
        prediction.start(now())
        prediction.is_streamed = prediction.ending == "succeeded"
    status = prediction.status if prediction.is_done else prediction.ending
    error = prediction.failure if status == "failed" else None
    usage = prediction.made.usage if prediction.is_streamed and is_first else None
    frames: list[Frame] = []

    def say(event: str, text: str, output_tokens: int = 0) -> None:
        lines = "".join(f"data: {line}\n" for line in text.split("\n"))
        number = f"{int(prediction.created_s * 1000)}:{len(frames)}"
        data = f"event: {event}\nid: {number}\n{lines}\n".encode()
        frames.append(Frame(data, output_tokens, usage.reasoning if usage is not None else 0))

    if status == "succeeded":
        output = prediction.made.output
        pieces = output if isinstance(output, list) else [output]
        for at, piece in enumerate(pieces, 1):
            said = piece if isinstance(piece, str) else msgspec.json.encode(piece).decode()
            say("output", said, usage.output * at // len(pieces) if usage is not None else 0)
    elif error is not None:
        say("error", msgspec.json.encode({"detail": error}).decode())
    if not faults.no_done:
        reason = _REASONS.get(status)
        why = msgspec.json.encode({"reason": reason}).decode() if reason else "{}"
        say("done", why, usage.output if usage is not None else 0)
    return frames
