"""Videos that take several requests: begun, looked at, and fetched from an address that asks for no key.

Each vendor reads its own requests and words its own answers; what is the same is how a job goes and what it owes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from pulse_gateway.testing.simulator.dice import identifier
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.jobs import POLLS, START, spec_at, steering
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.samples import clip, colour
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.vendor import Frame, Request, Target

__all__ = ["CLIP_PATH", "ClipJobs", "Job", "Paths", "clip_work", "own_target"]

CLIP_PATH = re.compile(r"clips/([1-9]\d{2,6})-([0-9a-f]{6})\.mp4")
_JSON = "application/json"
_VERSION = re.compile(r"(?:v1|v2)/")
Paths = tuple[tuple[str, re.Pattern[str], str], ...]
"""(method, path, the operation's word)."""


class Job(msgspec.Struct, kw_only=True):
    """A video under way. `seconds` and `digest` say what it will be."""

    id: str
    model: str  # as sent
    seconds: int
    size: str
    url: str
    steer: Faults
    units: dict[str, int]  # of the request that began it; filled when it is done
    polls: int
    looks: int = 0

    @property
    def is_over(self) -> bool:
        return self.looks > self.polls

    @property
    def percent(self) -> int:
        return 100 * min(self.looks, self.polls) // (self.polls + 1)

    @property
    def fails(self) -> str | None:
        return self.steer.fail

    @property
    def is_held_back(self) -> bool:
        return self.steer.refusal or bool(self.steer.filtered)


class ClipJobs:
    """The jobs of one vendor. `shown` words one that is looked at, with its HTTP status."""

    def __init__(self, vendor: str, shown: Callable[[Job], tuple[int, Any]]) -> None:
        self._vendor, self._shown = vendor, shown
        self._jobs: dict[str, Job] = {}
        self._begun = 0

    def reset(self) -> None:
        self._jobs.clear()

    def begin(
        self, request: Request, model: str, seconds: int, size: str, digest: bytes, worded: Callable[[Job], Any]
    ) -> Work:
        """Raises: FaultSpecError."""
        _, spec = split_model(model)
        steer = steering(request, spec)
        units: dict[str, int] = {}

        def render(_: Faults) -> list[Frame]:
            self._begun += 1
            paint = bytes(colour(digest)).hex()
            host = request.headers.get("host", "localhost")
            job = Job(
                id=identifier("", digest, f"job {self._begun}", 32),
                model=model,
                seconds=seconds,
                size=size,
                url=f"http://{host}/as/{self._vendor}/clips/{seconds * 1000}-{paint}.mp4",
                steer=steer,
                units=units,
                polls=POLLS if steer.polls is None else steer.polls,
            )
            self._jobs[job.id] = job
            return [Frame(msgspec.json.encode(worded(job)))]

        return Work(model=model, fault_spec=spec_at(START, spec), content_type=_JSON, render=render, units=units)

    def look(self, job_id: str) -> Work:
        """Raises: Refusal."""
        job = self._jobs.get(job_id)
        if job is None:
            raise refuse(f"There is no request {job_id}.", status=404)
        job.looks += 1
        if job.is_over and job.fails is None and not job.is_held_back:
            job.units.update(videos=1, video_ms=job.seconds * 1000)
        status, shown = self._shown(job)
        body = b"" if shown is None else msgspec.json.encode(shown)
        return Work(
            model=job.model,
            fault_spec=spec_at("poll", split_model(job.model)[1]),
            content_type=_JSON,
            status=status,
            render=lambda faults: [Frame(body)],
        )


def own_target(request: Request, prefix: str, paths: Paths) -> Target | None:
    """What a path below `prefix` asks for, its version left aside; what a pattern's group holds is `Target.model`."""
    if not request.path.startswith(prefix):
        return None
    path = _VERSION.sub("", request.path.removeprefix(prefix), count=1)
    known = False
    for method, pattern, word in paths:
        if found := pattern.fullmatch(path):
            if method == request.method:
                return Target(word, found.group(1) if pattern.groups else "")
            known = True
    return Target("wrong method") if known else None


def clip_work(request: Request) -> Work:
    """The video behind an address. Raises: Refusal."""
    found = CLIP_PATH.search(request.path)
    if found is None:
        raise refuse("There is no such file.", status=404)
    red, green, blue = bytes.fromhex(found.group(2))
    data = clip(int(found.group(1)), (red, green, blue))
    return Work(model="", content_type="video/mp4", render=lambda faults: [Frame(data)])
