"""Work that takes several requests: which of them suffers what its model name asks for.

`MODEL+at=poll,status=503,first=1` spares the request that starts the job and fails the first one that looks at it. Without `at`
the first request suffers. What steers (`polls`, `finish` …) counts for the whole job either way.
"""

from __future__ import annotations

from pulse_gateway.testing.simulator.faults import Faults, parse_faults
from pulse_gateway.testing.simulator.vendor import Request

__all__ = ["POLLS", "START", "spec_at", "steering"]

START = "start"
POLLS = 2
"""How often a job is looked at before it is done, unless `polls` says otherwise."""


def spec_at(step: str, spec: str) -> str:
    """The spec, if it is meant for this kind of request.

    Raises: FaultSpecError.
    """
    return spec if spec and (parse_faults(spec).at or START) == step else ""


def steering(request: Request, spec: str) -> Faults:
    """What the request's header or its model name says about how the job goes.

    Raises: FaultSpecError.
    """
    return parse_faults(request.headers.get("x-simulate", spec))
