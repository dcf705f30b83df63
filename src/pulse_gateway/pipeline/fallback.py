from __future__ import annotations

from pulse_gateway.errors import Advice, AllAttemptsFailed, UnsupportedParameter, UpstreamError
from pulse_gateway.pipeline.compose import Handler
from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.pipeline.reply import Reply

__all__ = ["Fallback"]


class Fallback:
    """Try the candidates in order until one answers; a deployment that cannot express the request is passed over.

    An image or a video that one of them may have begun is asked of no other: both would bill it.
    """

    def __init__(self, inner: Handler, *, max_attempts: int) -> None:
        self._inner, self._max_attempts = inner, max_attempts

    async def __call__(self, exchange: Exchange) -> Reply:
        failures: list[UpstreamError] = []
        unsupported: UnsupportedParameter | None = None
        for place, deployment in enumerate(exchange.candidates, 1):
            if exchange.attempts >= self._max_attempts:
                break
            exchange.deployment = deployment
            exchange.candidates_left = len(exchange.candidates) - place
            try:
                return await self._inner(
                    exchange
                )  # returns at the commit point: no failure here has reached the client
            except UpstreamError as error:
                if error.advice is Advice.STOP or error.may_be_made:
                    raise
                failures.append(error)
            except UnsupportedParameter as error:
                unsupported = unsupported or error
        if failures:
            raise failures[-1] if len({type(failure) for failure in failures}) == 1 else AllAttemptsFailed(failures)
        assert unsupported is not None  # every candidate either failed or could not express the request
        raise unsupported
