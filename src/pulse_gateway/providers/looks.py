"""Asking for what is there already, or is being made: whether a job is done, or the file that it has made. Pure."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from pulse_gateway.errors import Advice, AnswerInterrupted, UpstreamError, UpstreamModelNotFound, UpstreamTimeout
from pulse_gateway.providers.offer import Pause, Step, ask
from pulse_gateway.types.http import HttpAnswer, HttpRequest

__all__ = ["looked"]

_MOST_MISSES = 3  # in a row
_LONGEST_WAIT_S = 15.0
_MAY_PASS = (UpstreamTimeout, AnswerInterrupted, UpstreamModelNotFound)  # too; a job may not be known yet


def looked(request: HttpRequest, *, pause_s: float = 0.5) -> Generator[Step, Any, HttpAnswer]:
    """As `ask`, for a request that only looks, and so costs nothing if it is repeated. A look that fails is no reason to begin the work
    anew, which would be billed again.

    Raises: AnswerInterrupted after several looks that failed, so that the same deployment is not asked again; UpstreamError of one that
    will fail again.
    """
    misses = 0
    while True:
        try:
            return (yield from ask(request))
        except UpstreamError as error:
            if not (error.advice is Advice.RETRY or isinstance(error, _MAY_PASS)):
                raise
            misses += 1
            if misses > _MOST_MISSES:
                raise AnswerInterrupted(
                    "the provider does not tell any more what became of what it had begun",
                    upstream_status=error.upstream_status,
                    upstream_code=error.upstream_code,
                ) from error
            wait_s = max(pause_s, min(error.retry_after_s or 0.0, _LONGEST_WAIT_S))
        yield Pause(wait_s)
