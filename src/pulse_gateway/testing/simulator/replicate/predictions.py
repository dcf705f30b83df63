"""A prediction's life: it goes on when it is looked at, or by itself if a webhook wants to hear of it.

Source: https://replicate.com/docs/topics/predictions/lifecycle (read 2026-11-24)
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from pulse_gateway.testing.simulator.dice import Dice
from pulse_gateway.testing.simulator.replicate.outputs import Made
from pulse_gateway.testing.simulator.replicate.reading import Wanted
from pulse_gateway.testing.simulator.stats import Tab

__all__ = ["TERMINAL", "Prediction", "Status", "timestamp"]

Status = Literal["starting", "processing", "succeeded", "failed", "canceled", "aborted"]
TERMINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})
_KEPT_S = 3600
_PREDICT_MS = {"video": (40_000, 50_000), "text": (500, 2_000), "structured": (500, 2_000)}


def timestamp(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Prediction(msgspec.Struct, kw_only=True):
    """Times are seconds since the epoch. `finished_s` is when it ended, `ran_ms` what it says it took."""

    id: str
    wanted: Wanted
    base_url: str
    digest: bytes
    made: Made
    ending: Status  # how it is going to end
    failure: str  # what is said if it fails
    polls: int  # how often it is looked at before it is done
    units: dict[str, int]  # of the request that created it; filled when it is done
    created_s: float
    tab: Tab  # tokens, of the same request
    status: Status = "starting"
    is_streamed: bool = False  # somebody has heard it as it wrote, and been billed for that
    looks: int = 0
    started_s: float | None = None
    finished_s: float | None = None
    error: str | None = None

    @property
    def is_done(self) -> bool:
        return self.status in TERMINAL

    @property
    def ran_ms(self) -> int:
        least, more = _PREDICT_MS.get(self.wanted.model.shape, (800, 3_000))
        return least + Dice(self.digest, "predict").below(more)

    def look(self, now_s: float) -> None:
        """Somebody asks how it is going, which makes it go on, unless it does so by itself."""
        self.expire(now_s)
        if self.is_done or self.wanted.webhook is not None:
            return
        if self.looks >= self.polls or self.is_streamed:
            self.finish(now_s)
            return
        self.looks += 1
        self.start(now_s)

    def start(self, now_s: float) -> None:
        if self.status == "starting":
            self.status, self.started_s = "processing", now_s

    def finish(self, now_s: float) -> None:
        if self.is_done:
            return
        if self.ending != "aborted":
            self.start(now_s)
        self._end(self.ending, now_s)
        if self.ending == "failed":
            self.error = self.failure

    def cancel(self, now_s: float) -> None:
        self.expire(now_s)
        if not self.is_done:
            self._end("canceled", now_s)

    def expire(self, now_s: float) -> None:
        """What has passed its deadline ends: `aborted` if it never ran."""
        limit = self.wanted.deadline_s
        if limit is not None and now_s >= self.created_s + limit and not self.is_done:
            self._end("aborted" if self.started_s is None else "canceled", now_s)

    def _end(self, status: Status, now_s: float) -> None:
        self.status, self.finished_s = status, now_s
        if status == "succeeded":
            self.units.update(self.made.units, predict_ms=self.ran_ms)
            if self.made.usage is not None and not self.is_streamed:
                self.tab.owe(self.made.usage)
        elif self.started_s is not None and not self.wanted.model.official:
            self.units.update(predict_ms=self.ran_ms)  # hardware is paid for by time

    def document(self, now_s: float) -> dict[str, Any]:
        """The prediction as the API shows it. Input, output and logs are gone an hour after the end."""
        removed = self.finished_s is not None and now_s >= self.finished_s + _KEPT_S
        shown: dict[str, Any] = {
            "id": self.id,
            "model": self.wanted.model.name,
            "version": self.wanted.version,
            "input": {} if removed else self.wanted.input,
            "logs": "" if removed else self._logs(),
            "output": None if removed else self._output(),
            "data_removed": removed,
            "error": self.error,
            "source": "api",
            "status": self.status,
            "created_at": timestamp(self.created_s),
            "started_at": timestamp(self.started_s) if self.started_s is not None else None,
            "completed_at": self._completed_at(),
            "metrics": self._metrics(),
            "urls": self._urls(),
        }
        if self.wanted.deadline_s is not None:
            shown["deadline"] = timestamp(self.created_s + self.wanted.deadline_s)
        return shown

    def _completed_at(self) -> str | None:
        if self.finished_s is None:
            return None
        ran = self.started_s is not None and self.status in {"succeeded", "failed"}
        return timestamp(self.started_s + self.ran_ms / 1000 if ran and self.started_s else self.finished_s)

    def _metrics(self) -> dict[str, Any]:
        if not self.is_done or self.started_s is None:
            return {}
        times = {"predict_time": self.ran_ms / 1000, "total_time": (self.ran_ms + 120) / 1000}
        return {**times, **(self.made.metrics if self.status == "succeeded" else {})}

    def _output(self) -> Any:
        if self.status == "succeeded":
            return self.made.output
        if self.wanted.model.shape == "text" and self.started_s is not None:
            pieces: list[str] = self.made.output
            return pieces[: len(pieces) * self.looks // (self.polls + 1)]
        return None

    def _logs(self) -> str:
        """A bar for every look, as clients read it."""
        if self.started_s is None:
            return ""
        steps = self.polls + 1
        done = steps if self.status == "succeeded" else min(self.looks, steps)
        bars = [
            f"{100 * at // steps:3}%|{'█' * (10 * at // steps):10}| {at}/{steps} [00:0{min(at, 9)}<00:00]"
            for at in range(1, done + 1)
        ]
        told = self.made.logs if self.status == "succeeded" else ""
        return "".join(f"{bar}\n" for bar in bars) + told

    def _urls(self) -> dict[str, str]:
        here = f"{self.base_url}/v1/predictions/{self.id}"
        urls = {"get": here, "cancel": f"{here}/cancel", "web": f"{self.base_url}/p/{self.id}"}
        if self.wanted.streams:
            urls["stream"] = f"{self.base_url}/stream/{self.id}"
        return urls
