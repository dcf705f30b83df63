"""Redis for a command of `pulse`, where somebody sits and waits: it answers soon, or what to do about it is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from pulse_gateway.clock import SystemClock
from pulse_gateway.errors import ConfigError
from pulse_gateway.transport.redis import RedisClient, RedisRefused, RedisUnavailable
from pulse_gateway.transport.redis_address import read_address

__all__ = ["reached_redis"]

_REACH_S = 4.0
_CALL_S = 5.0
_ADVICE = "is PULSE_REDIS_URL (stores.redis_url) right?"


@asynccontextmanager
async def reached_redis(url: str) -> AsyncIterator[RedisClient]:
    """A client of a Redis that answers: within 4 s, or not at all, and each call within 5 s.

    Raises: ConfigError naming the host, never the password, also when Redis stops answering later.
    """
    place = read_address(url)
    redis = RedisClient(url, clock=SystemClock(), deadline_s=_CALL_S)
    try:
        try:
            async with asyncio.timeout(_REACH_S):
                await redis.open()
                with suppress(RedisRefused):  # it answers; access lists may keep this command from us
                    await redis.command("PING")
        except TimeoutError:
            raise ConfigError(
                f"Redis at {place} does not answer within {_REACH_S:g} s; is it up, and {_ADVICE}"
            ) from None
        except RedisUnavailable:
            raise ConfigError(
                f"Redis at {place} does not answer, refuses the login, or takes no writes; is it up, and {_ADVICE}"
            ) from None
        yield redis
    except RedisUnavailable as error:
        raise ConfigError(
            f"Redis at {place} does not answer any more: {error.message}; see whether it is up"
        ) from error
    finally:
        await redis.aclose()
