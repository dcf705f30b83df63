"""A part of a vendor's API beside chat: what it must know to be served, with the same faults and books as everything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from pulse_gateway.testing.simulator.answer import Usage
from pulse_gateway.testing.simulator.config import Config
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.stats import Tab
from pulse_gateway.testing.simulator.vendor import Chat, Frame, Refusal, Request, Target

__all__ = ["MakeSurface", "Surface", "Work"]


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A valid request, ready to be answered. `usage` is owed in tokens, `units` in whatever else is sold: `images`, `video_ms` …

    `units` may be filled in later: a job's are owed once it is done, and so are the tokens on its `tab`. `render` gives one frame unless `stream`.
    """

    model: str
    content_type: str
    render: Callable[[Faults], list[Frame]]
    fault_spec: str = ""
    stream: bool = False
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    usage: Usage | None = None
    units: dict[str, int] = {}
    tab: Tab | None = None


class Surface(Protocol):
    """One vendor's operations. Keeps its jobs and files in itself; `reset` forgets them."""

    @property
    def name(self) -> str:
        """The vendor."""
        ...

    def route(self, request: Request) -> Target | None:
        """What the path asks for; None: it is not of this surface. Unlike `Vendor`'s, `Target.operation` may be any word."""
        ...

    def admit(self, request: Request, target: Target) -> None:
        """Raises: Refusal for a wrong method, a missing or wrong key, a version nobody knows."""
        ...

    def work(self, request: Request, target: Target) -> Work | Chat:
        """A `Chat` is answered by the same model as everywhere else, which also counts its tokens.

        Raises: Refusal for whatever the vendor would not take.
        """
        ...

    def head(self, request_id: str) -> tuple[tuple[str, str], ...]:
        """Headers that every answer carries."""
        ...

    def invalid(self, message: str) -> Refusal:
        """A plain 400."""
        ...

    def injected(self, faults: Faults) -> Refusal:
        """The error that `faults` asks for."""
        ...

    def envelope(self, refusal: Refusal, request_id: str, target: Target) -> bytes:
        """The body of an error answer."""
        ...

    def error_frame(self, refusal: Refusal, request_id: str, target: Target, *, is_first: bool) -> bytes:
        """The same error inside a stream; empty where nothing can be said in one."""
        ...

    def break_frame(self, frame: bytes) -> bytes:
        """The frame cut in half."""
        ...

    def reset(self) -> None:
        """Forget everything, and end what goes on by itself."""
        ...


MakeSurface = Callable[[int, Config], Surface]
"""(seed, config) → surface."""
