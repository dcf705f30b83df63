"""Calls of vendors that say a job is done: signed, or refused; and then asked about rather than believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

import msgspec

from pulse_gateway.clock import Clock
from pulse_gateway.errors import (
    InvalidRequest,
    ModelNotFound,
    NotFound,
    Unauthenticated,
    UpstreamError,
    UpstreamProtocolError,
)
from pulse_gateway.pipeline.steps import StepRunner
from pulse_gateway.pipeline.video_jobs import VideoJobs
from pulse_gateway.providers.offer import OfferCall
from pulse_gateway.providers.provider import Provider
from pulse_gateway.providers.single_flight import SingleFlight
from pulse_gateway.providers.webhook import key_of, require_signature
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import Headers, HttpRequest

__all__ = ["WEBHOOKS", "Webhooks"]

WEBHOOKS = "/v1/webhooks"  # below it, each provider calls under its own name

_ASKED_AGAIN_S = 60.0  # after a signature that does not fit: the secret may have been changed
_FAILED_S = 10.0  # anybody may call: a vendor that does not tell its secret is not asked for each of them


class _Called(msgspec.Struct):
    id: str


class _Secret(msgspec.Struct):
    key: str


_called = msgspec.json.Decoder(_Called).decode
_secret = msgspec.json.Decoder(_Secret).decode


class _Caller(Protocol):
    """A provider that calls."""

    def webhook_secret_request(self, call: OfferCall, /) -> HttpRequest: ...


class Webhooks:
    """`configured_secret` is the provider's `webhook_secret`; without one the vendor is asked for it, with the key."""

    def __init__(
        self,
        jobs: VideoJobs,
        *,
        steps: StepRunner,
        provider_of: Callable[[str], Provider],
        deployment_of: Callable[[str, str], Deployment],
        configured_secret: Callable[[str], str | None],
        clock: Clock,
    ) -> None:
        self._jobs, self._steps, self._clock = jobs, steps, clock
        self._provider_of, self._deployment_of = provider_of, deployment_of
        self._configured_secret = configured_secret
        self._asked: dict[str, tuple[str, float]] = {}  # provider → secret, and when it was asked for
        self._failed: dict[str, tuple[UpstreamError, float]] = {}
        self._asking: SingleFlight[str] = SingleFlight()

    async def receive(self, name: str, headers: Headers, body: bytes) -> None:
        """A call of the provider `name`. Coming again does nothing.

        Raises: NotFound for a provider that does not call, Unauthenticated, InvalidRequest; UpstreamError when its secret cannot be had,
        StoreUnavailable: it may then call again.
        """
        try:
            deployment = self._deployment_of(name, "-")
        except ModelNotFound as error:
            raise NotFound(f"there is no provider {name[:100]!r}") from error
        provider = self._provider_of(deployment.kind)
        if not hasattr(provider, "webhook_secret_request"):
            raise NotFound(f"the provider {name!r} does not call")
        caller = cast("_Caller", provider)
        try:
            require_signature(
                await self._secret_of(name, caller, provider, deployment), headers, body, self._clock.now()
            )
        except Unauthenticated:
            if not self._is_stale(name):
                raise
            self._asked.pop(name, None)
            require_signature(
                await self._secret_of(name, caller, provider, deployment), headers, body, self._clock.now()
            )
        try:
            job_id = _called(body).id
        except (ValueError, RecursionError) as error:  # msgspec's errors and invalid UTF-8 are ValueErrors
            raise InvalidRequest("the body is not a job") from error
        await self._jobs.called(name, job_id)

    async def _secret_of(self, name: str, caller: _Caller, provider: Provider, deployment: Deployment) -> str:
        if (configured := self._configured_secret(name)) is not None:
            return configured
        if (asked := self._asked.get(name)) is not None:
            return asked[0]
        if (failed := self._failed.get(name)) is not None and self._clock.monotonic() - failed[1] < _FAILED_S:
            raise failed[0].with_traceback(None)
        try:
            return await self._asking.run(name, lambda: self._ask(name, caller, provider, deployment))
        except UpstreamError as error:
            self._failed[name] = (error, self._clock.monotonic())
            raise

    async def _ask(self, name: str, caller: _Caller, provider: Provider, deployment: Deployment) -> str:
        request = caller.webhook_secret_request(OfferCall(deployment=deployment))
        answer = await self._steps.send(provider, deployment, request)
        if not 200 <= answer.status < 300:
            raise provider.error(answer.status, answer.headers, answer.body)
        try:
            secret = _secret(answer.body).key
            key_of(secret)
        except (ValueError, RecursionError) as error:
            raise UpstreamProtocolError("the provider does not tell its webhook secret") from error
        self._asked[name] = (secret, self._clock.monotonic())
        return secret

    def _is_stale(self, name: str) -> bool:
        asked = self._asked.get(name)
        return asked is not None and self._clock.monotonic() - asked[1] > _ASKED_AGAIN_S
