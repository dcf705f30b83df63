"""The composition root: takes the parts, or the built-in ones, and puts the pipeline together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import msgspec

from pulse_gateway.catalog.catalog import Catalog
from pulse_gateway.clock import Clock, SystemClock
from pulse_gateway.composition import build_chain, build_fetch, build_router, build_terms
from pulse_gateway.config import Config
from pulse_gateway.environment import load_config
from pulse_gateway.errors import ConfigError, PulseError, StoreUnavailable
from pulse_gateway.idempotency.memory import MemoryAnswerStore
from pulse_gateway.idempotency.store import AnswerStore
from pulse_gateway.ledger.ledger import Ledger
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.limits.crossings import Crossed
from pulse_gateway.limits.limiter import Limiter, Standing
from pulse_gateway.limits.memory import MemoryLimiter
from pulse_gateway.moderation.chain import Chain
from pulse_gateway.moderation.moderator import Moderator
from pulse_gateway.operations import Operations
from pulse_gateway.pipeline.admit import Admit
from pulse_gateway.pipeline.authenticate import Authenticate, Authenticator
from pulse_gateway.pipeline.call import Call
from pulse_gateway.pipeline.chat_steps import SteppedChat
from pulse_gateway.pipeline.choose import Choose
from pulse_gateway.pipeline.compose import Handler, compose
from pulse_gateway.pipeline.deadline import Deadline
from pulse_gateway.pipeline.exchange import Exchange, Inbound
from pulse_gateway.pipeline.execution import Executions
from pulse_gateway.pipeline.fallback import Fallback
from pulse_gateway.pipeline.guard import Guard
from pulse_gateway.pipeline.idempotent import Idempotent
from pulse_gateway.pipeline.inline import Inline
from pulse_gateway.pipeline.moderate import Moderate
from pulse_gateway.pipeline.observe import Observe
from pulse_gateway.pipeline.operate import Operate
from pulse_gateway.pipeline.quote import quote
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.pipeline.resolve import Resolve
from pulse_gateway.pipeline.retry import Retry
from pulse_gateway.pipeline.steps import StepRunner
from pulse_gateway.pipeline.stream import Drains
from pulse_gateway.pipeline.supervisor import Supervisor
from pulse_gateway.pipeline.video_jobs import SWEPT_EVERY_S, VIDEOS, VideoJobs
from pulse_gateway.pipeline.webhooks import WEBHOOKS, Webhooks
from pulse_gateway.providers import registry as providers
from pulse_gateway.providers.provider import Provider
from pulse_gateway.routing.health import Health
from pulse_gateway.routing.retries import RetryBudget
from pulse_gateway.store.memory import MemoryKeyStore
from pulse_gateway.telemetry.alert import BudgetAlert, OnAlert, log_alert
from pulse_gateway.telemetry.record import Observer, log_exchange
from pulse_gateway.telemetry.traced import OnTraced, Sampler
from pulse_gateway.transport.schemes import SchemeTransport
from pulse_gateway.transport.transport import Transport
from pulse_gateway.types.chat import ChatReply, ChatRequest
from pulse_gateway.types.events import Event
from pulse_gateway.types.identity import Plan, Principal
from pulse_gateway.videos.memory import MemoryVideoStore
from pulse_gateway.videos.store import VideoStore
from pulse_gateway.wire import registry as wire

if TYPE_CHECKING:
    from pulse_gateway.transport.network import NetworkTransport

__all__ = ["Gateway"]

_log = logging.getLogger("pulse_gateway")

_NATIVE_DIALECT = "openai.chat"  # what `messages=[…]` of an embedding program is written in


class Gateway(Operations):
    """Routes, limits, moderates, retries and meters model calls. Usable as an async context manager.

    Every part can be replaced: `limiter`, `ledger`, `answers` (what requests with an idempotency key were answered), `videos` (jobs
    under way, and done), `moderators` (hooks added after the configured ones), `transport`, `clock`, `keys` (who owns which API key), `providers` (kind → Provider,
    added to the built-in ones), `observers` (called once per exchange; default: one JSON log line), `on_alert` (called when a
    monthly limit is used up to 80 % and to 100 %; default: one log line), `on_traced` (called with each exchange whose trace is sampled,
    to make spans of; default: none is). What is not given is the built-in part that lives in memory.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        limiter: Limiter | None = None,
        ledger: Ledger | None = None,
        answers: AnswerStore | None = None,
        videos: VideoStore | None = None,
        moderators: Sequence[Moderator] = (),
        transport: Transport | None = None,
        clock: Clock | None = None,
        keys: Authenticator | None = None,
        providers: Mapping[str, Provider] | None = None,
        observers: Sequence[Observer] = (log_exchange,),
        on_alert: OnAlert = log_alert,
        on_traced: OnTraced | None = None,
    ) -> None:
        self.clock: Clock = clock or SystemClock()
        self.limiter: Limiter = limiter or MemoryLimiter(self.clock)
        self.ledger: Ledger = ledger or MemoryLedger()
        self._keys: Authenticator = keys or MemoryKeyStore({})
        self._own_providers = dict(providers or {})
        self._moderators = tuple(moderators)
        self._observers = tuple(observers)
        self._on_alert = on_alert
        self._on_traced = on_traced
        if hasattr(self.limiter, "on_crossed"):
            self.limiter.on_crossed = self._crossed_late
        self._transport = transport
        self._network: NetworkTransport | None = None  # once open, where that is what carries requests
        self._supervisor = Supervisor()
        self._executions = Executions(
            answers or MemoryAnswerStore(self.clock), clock=self.clock, supervisor=self._supervisor
        )
        self._video_store: VideoStore = videos or MemoryVideoStore(self.clock)
        self._sweep: asyncio.Task[None] | None = None
        self._drains = Drains()
        self._health = Health(self.clock)
        self._retry_budget = RetryBudget(self.clock)
        self._catalog = Catalog.load(now=self.clock.now)
        self._handler: Handler | None = None
        self.reload(config or Config())

    @classmethod
    def from_env(cls, path: str | None = None, **parts: Any) -> Self:
        """A gateway set up by the config file (`path`, else PULSE_CONFIG, else ./pulse.toml if there is one) and the environment.

        Opens no store: PULSE_REDIS_URL and PULSE_DATABASE_URL are for `pulse serve`. Without a `limiter` and a `ledger` among `parts`,
        limits are counted in this process and usage is kept in its memory; docs/library.md shows the others.

        Raises: ConfigError.
        """
        return cls(load_config(path), **parts)

    def reload(self, config: Config) -> None:
        """Swap the configuration in whole. Exchanges under way keep what they began with.

        Raises: ConfigError; the configuration in force then stays.
        """
        router = build_router(config, self._catalog, self._own_providers)
        chain = build_chain(config.moderation, self._moderators)
        terms, fetch = build_terms(config.limits), build_fetch(config.fetch)
        plans = config.plan_table()
        if config.default_plan not in plans:
            raise ConfigError(f"default_plan = {config.default_plan!r} is not a plan; known: {', '.join(plans)}")
        self.config, self.router, self.terms, self.plans = config, router, terms, plans
        self._fetch = fetch
        ratio, told = config.telemetry.traces_sample, self._on_traced
        self._sampler = None if told is None else Sampler(ratio, told, self.clock)
        if self._network is not None:
            self._network.prepare(router.providers())
        self._handler = None if self._handler is None else self._compose(chain)
        self._chain = chain

    async def open(self) -> None:
        """Start what needs a running event loop. Entering the context manager does this."""
        if self._transport is None:
            from pulse_gateway.transport.network import (
                NetworkTransport,  # imported late: it is dear, and may not be needed
            )

            self._transport = NetworkTransport(max_connections=self.config.network.max_connections)
        if hasattr(self._transport, "prepare"):
            self._network = cast("NetworkTransport", self._transport)
            self._network.prepare(self.router.providers())
        for dialect in wire.DIALECTS:
            wire.codec(dialect)  # imported now, so that the first request does not wait for it
        self._handler = self._compose(self._chain)
        self._sweep = asyncio.create_task(self._see_to_videos(), name="videos")

    async def aclose(self, *, drain_s: float = 30.0, settle_s: float = 30.0) -> None:
        """Let requests with an idempotency key end within `drain_s` and everything settle within `settle_s`, write the ledger
        out, and close every connection."""
        if self._sweep is not None:
            self._sweep.cancel()
            await asyncio.wait([self._sweep])
        await self._executions.aclose(drain_s)
        await self._supervisor.drain(settle_s)
        await self.limiter.aclose()
        await self.ledger.aclose()
        if self._transport is not None:
            await self._transport.aclose()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def handle(self, inbound: Inbound) -> Reply:
        """One exchange. With a `dialect`, every error becomes a reply in it; without, errors are raised.

        Use the reply as a context manager: leaving it settles a stream.
        """
        if self._handler is None:
            raise RuntimeError("the gateway is not open: use `async with Gateway(...)`, or await `open()`")
        client = None if inbound.dialect is None else wire.face(inbound.dialect)
        return await self._handler(Exchange(inbound, client, self.clock.monotonic()))

    async def refuse(self, inbound: Inbound, error: PulseError) -> Reply:
        """The reply to a request that is refused before it is one: logged and counted as every exchange is."""

        async def refusing(exchange: Exchange) -> Reply:
            exchange.principal = inbound.principal
            raise error

        client = wire.face(inbound.dialect or _NATIVE_DIALECT)
        observe = Observe(
            refusing,
            clock=self.clock,
            supervisor=self._supervisor,
            observers=self._observers,
            sampler=self._sampler,
        )
        return await observe(Exchange(inbound, client, self.clock.monotonic()))

    async def chat(
        self, *, model: str, messages: Sequence[Mapping[str, Any]], user: str, plan: str | None = None, **fields: Any
    ) -> ChatReply:
        """One whole answer. `messages` and `fields` are those of OpenAI's chat completions, whatever provider answers.

        Raises: PulseError, one of its kinds.
        """
        reply = await self.handle(self._native(model, messages, user, plan, {**fields, "stream": False}))
        answer: ChatReply = reply.value
        return answer

    async def stream(
        self, *, model: str, messages: Sequence[Mapping[str, Any]], user: str, plan: str | None = None, **fields: Any
    ) -> AsyncIterator[Event]:
        """The answer event by event; `event.text` is the visible text of each. Breaking off settles what was used.

        Raises: PulseError, also in the middle of the stream.
        """
        reply = await self.handle(self._native(model, messages, user, plan, {**fields, "stream": True}))
        async with reply:
            async for events in reply:
                for event in events:
                    yield event

    @property
    def under_way(self) -> Collection[asyncio.Task[Any]]:
        """Requests with an idempotency key that run on, whether or not a client is left: what a server waits for before it ends."""
        return self._executions.tasks

    async def usage(self, principal: Principal) -> Sequence[Standing]:
        """Where each counter of `principal` stands."""
        return await self.limiter.standings(self.terms.overview(principal), tenant=principal.tenant_id)

    def principal(self, user: str, plan: str | None = None) -> Principal:
        """`user` on `plan`, or on the configured default plan.

        Raises: ConfigError for a plan that does not exist.
        """
        return Principal(user_id=user, plan=self._plan(plan or self.config.default_plan))

    def _plan(self, name: str) -> Plan:
        try:
            return self.plans[name]
        except KeyError:
            raise ConfigError(f"there is no plan {name!r}; known: {', '.join(self.plans)}") from None

    def _native(
        self, model: str, messages: Sequence[Mapping[str, Any]], user: str, plan: str | None, fields: dict[str, Any]
    ) -> Inbound:
        body = msgspec.json.encode({"model": model, "messages": messages, **fields})
        request: ChatRequest = wire.codec(_NATIVE_DIALECT).decode_request(body)
        return Inbound(request=request, principal=self.principal(user, plan))

    async def _see_to_videos(self) -> None:
        """A store that is away is no reason to stop: the jobs are seen to when it is back. Nor is a defect: nobody else gives back
        what failed. Either is told of when it begins and when it is over. By the loop's own time, since a clock of the caller's may
        stand still, or run.
        """
        failing: type[Exception] | None = None
        while True:
            await asyncio.sleep(SWEPT_EVERY_S)
            try:
                await self.videos.sweep()
            except Exception as error:  # noqa: BLE001 -- whatever it is, the next time may be better
                if type(error) is failing:
                    continue
                failing = type(error)
                if isinstance(error, StoreUnavailable):
                    cause = error.__cause__ or error
                    _log.warning(
                        "video jobs are not seen to: %s (%s)", error.message, str(cause) or type(cause).__name__
                    )
                else:
                    _log.exception("video jobs are not seen to")
            else:
                if failing is not None:
                    _log.info("video jobs are seen to again")
                failing = None

    def _provider(self, kind: str) -> Provider:
        return self._own_providers.get(kind) or providers.provider(kind)

    def _crossed_late(self, crossed: Crossed) -> None:
        """No request waits to tell of it."""
        self._on_alert(
            BudgetAlert(
                tenant_id=crossed.tenant,
                account=crossed.account,
                kind=crossed.kind,
                period=crossed.period,
                percent=crossed.percent,
                limit=crossed.limit,
                used=crossed.used,
                request_id="",
                at=self.clock.now(),
            )
        )

    def _compose(self, chain: Chain) -> Handler:
        if self._transport is None:
            raise RuntimeError("the gateway is not open")
        config, clock, public = self.config, self.clock, self.config.server.public_url
        transport = SchemeTransport(self._transport)
        steps = StepRunner(
            transport=transport,
            download=self._fetch,
            clock=clock,
            supervisor=self._supervisor,
            files_bytes=config.fetch.max_bytes,
        )
        self.videos = VideoJobs(
            self._video_store,
            steps=steps,
            transport=transport,
            provider_of=self._provider,
            deployment_of=self.router.deployment,
            ledger=self.ledger,
            limiter=self.limiter,
            clock=clock,
            supervisor=self._supervisor,
            most_running=config.limits.running_videos,
        )
        self.webhooks = Webhooks(
            self.videos,
            steps=steps,
            provider_of=self._provider,
            deployment_of=self.router.deployment,
            configured_secret=lambda name: config.providers[name].webhook_secret if name in config.providers else None,
            clock=clock,
        )
        pipeline = compose(
            [
                partial(
                    Observe,
                    clock=clock,
                    supervisor=self._supervisor,
                    observers=self._observers,
                    sampler=self._sampler,
                ),
                partial(Deadline, total_s=config.retries.total_s, clock=clock),
                partial(Authenticate, authenticator=self._keys),
                partial(Resolve, router=self.router),
                partial(
                    Admit,
                    limiter=self.limiter,
                    ledger=self.ledger,
                    terms=self.terms,
                    quote=quote(config.limits.default_output_tokens),
                    clock=clock,
                    on_alert=self._on_alert,
                ),
                partial(Moderate, chain=chain, clock=clock),
                partial(Fallback, max_attempts=config.retries.attempts),
                partial(
                    Retry,
                    max_attempts=config.retries.attempts,
                    base_s=config.retries.base_s,
                    max_wait_s=config.retries.max_wait_s,
                    budget=self._retry_budget,
                    clock=clock,
                ),
                partial(Guard, health=self._health),
            ],
            Choose(
                Call(
                    transport=transport,
                    provider_of=self._provider,
                    codec_of=wire.upstream_codec,
                    inline=Inline(self._fetch, config.fetch.max_bytes),
                    steps=SteppedChat(steps=steps, transport=transport),
                    ledger=self.ledger,
                    clock=clock,
                    supervisor=self._supervisor,
                    drains=self._drains,
                    chain=chain,
                    hold_chars=config.moderation.hold_chars,
                ),
                Operate(
                    transport=transport,
                    steps=steps,
                    provider_of=self._provider,
                    ledger=self.ledger,
                    clock=clock,
                    supervisor=self._supervisor,
                    drains=self._drains,
                    keepers={VIDEOS: self.videos},
                    webhook_of=lambda name: None if public is None else f"{public.rstrip('/')}{WEBHOOKS}/{name}",
                ),
            ),
        )
        return Idempotent(
            pipeline,
            executions=self._executions,
            authenticator=self._keys,
            total_s=config.retries.total_s,
            clock=clock,
            supervisor=self._supervisor,
            observers=self._observers,
            sampler=self._sampler,
        )
