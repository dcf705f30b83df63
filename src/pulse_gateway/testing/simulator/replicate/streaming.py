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
    """Everything up to `done`. Whoever reads the stream sees the prediction to its end."""
    prediction.expire(now())
    prediction.finish(now())
    frames: list[Frame] = []

    def say(event: str, text: str) -> None:
        lines = "".join(f"data: {line}\n" for line in text.split("\n"))
        number = f"{int(prediction.created_s * 1000)}:{len(frames)}"
        frames.append(Frame(f"event: {event}\nid: {number}\n{lines}\n".encode()))

    if prediction.status == "succeeded":
        output = prediction.made.output
        for piece in output if isinstance(output, list) else [output]:
            say("output", piece if isinstance(piece, str) else msgspec.json.encode(piece).decode())
    elif prediction.error is not None:
        say("error", msgspec.json.encode({"detail": prediction.error}).decode())
    if not faults.no_done:
        reason = _REASONS.get(prediction.status)
        say("done", msgspec.json.encode({"reason": reason}).decode() if reason else "{}")
    return frames
