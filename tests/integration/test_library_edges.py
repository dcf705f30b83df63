"""What goes wrong at the edges of an exchange, and what must hold all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from pulse_gateway import Config, Gateway, Inbound, Outcome, PulseError, UsageSource
from pulse_gateway.clock import SystemClock
from pulse_gateway.config import AliasConfig, LimitsConfig, ProviderConfig, RetriesConfig
from pulse_gateway.errors import ConfigError, StreamInterrupted, UpstreamError
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.limits.limiter import Charge, Permit, Standing
from pulse_gateway.limits.memory import MemoryLimiter
from pulse_gateway.transport.transport import OnSend
from pulse_gateway.types.http import Headers, HttpRequest, Timeouts

BODY = {"model": "first", "messages": [{"role": "user", "content": "hi"}]}
ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
}
JSON: Headers = (("content-type", "application/json"),)
EVENTS: Headers = (("content-type", "text/event-stream"),)


def frame(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"


HELLO = frame({"role": "assistant", "content": "hello"})
STOP = frame({}, "stop")
USAGE = (
    b"data: "
    + msgspec.json.encode(
        {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [],
            "usage": ANSWER["usage"],
        }
    )
    + b"\n\n"
)
DONE = b"data: [DONE]\n\n"
WHOLE = HELLO + STOP + USAGE + DONE


class Scripted:
    """One answer. An exception among the pieces is raised in their place; None waits for ever."""

    def __init__(
        self,
        status: int,
        headers: Headers,
        pieces: Iterable[bytes | BaseException | None],
        close: BaseException | None = None,
    ) -> None:
        self.status, self.headers = status, headers
        self._pieces, self._close = list(pieces), close
        self.closed = False

    def read_now(self) -> bytes | None:
        return None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, BaseException):
                raise piece
            if piece is None:
                await asyncio.Event().wait()
            else:
                yield piece

    async def aclose(self) -> None:
        self.closed = True
        if self._close is not None:
            raise self._close


class Transport:
    """Plays every provider: `answers` maps a provider's name to what it says next."""

    def __init__(self, **answers: Callable[[], Scripted]) -> None:
        self._answers = answers
        self.called: list[str] = []
        self.given: list[Scripted] = []

    async def send(
        self, request: HttpRequest, timeouts: Timeouts, /, *, proxy: str | None = None, on_send: OnSend | None = None
    ) -> Scripted:
        provider = request.url.split("//")[1].split(".")[0]
        self.called.append(provider)
        self.given.append(self._answers[provider]())
        return self.given[-1]

    async def aclose(self) -> None: ...


def good() -> Scripted:
    return Scripted(200, JSON, [msgspec.json.encode(ANSWER)])


def down(status: int = 503, headers: Headers = JSON) -> Callable[[], Scripted]:
    return lambda: Scripted(status, headers, [b'{"error":{"message":"down","type":"server_error","code":null}}'])


class SlowEnds:
    """A permit whose end takes a few turns of the loop, as it does over a network."""

    def __init__(self, permit: Permit) -> None:
        self._permit = permit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._permit, name)

    async def settle(self, used: Mapping[str, int], /) -> Sequence[Standing]:
        for _ in range(3):
            await asyncio.sleep(0)
        return await self._permit.settle(used)


class SlowLimiter(MemoryLimiter):
    async def acquire(self, charges: Sequence[Charge], /, *, tenant: str = "default") -> Permit:
        return SlowEnds(await super().acquire(charges, tenant=tenant))


class World:
    def __init__(self, transport: Transport, *, limiter: MemoryLimiter | None = None, **more: Any) -> None:
        self.transport = transport
        self.ledger = MemoryLedger()
        self.limiter = limiter or MemoryLimiter(SystemClock())
        kinds = {"a": "openai", "b": "openai", "c": "anthropic"}
        config = Config(
            providers={
                name: ProviderConfig(kind=kind, key="k", base_url=f"http://{name}.example")
                for name, kind in kinds.items()
            },
            models={
                "first": AliasConfig(targets=["a:m", "b:m"]),
                "only": AliasConfig(targets=["a:m"]),
                "other": AliasConfig(targets=["c:m"]),
            },
            retries=RetriesConfig(base_s=0.001, max_wait_s=0.002),
            limits=LimitsConfig(requests="off"),
            **more,
        )
        self.gateway = Gateway(config, transport=transport, ledger=self.ledger, limiter=self.limiter, observers=())

    async def ask(
        self, model: str = "only", *, dialect: str = "openai.chat", stream: bool = False, **fields: Any
    ) -> tuple[int, bytes, dict[str, str]]:
        """Status, bytes and headers."""
        body = msgspec.json.encode({**BODY, "model": model, "stream": stream, **fields})
        inbound = Inbound(dialect=dialect, body=body, principal=self.gateway.principal("u1"))
        async with await self.gateway.handle(inbound) as reply:
            return reply.status, b"".join([piece async for piece in reply]), dict(reply.headers)

    def check(self) -> None:
        assert self.limiter.outstanding == 0


async def test_a_deployment_that_is_down_leaves_the_next_one_its_turn() -> None:
    world = World(Transport(a=down(), b=good))
    async with world.gateway:
        for _ in range(20):
            assert (await world.ask("first"))[0] == 200
    world.check()


async def test_nobody_waits_for_one_deployment_while_another_may_answer() -> None:
    world = World(Transport(a=down(429, (*JSON, ("retry-after", "120"))), b=good))
    async with world.gateway:
        status, _, headers = await world.ask("first")
    assert status == 200
    assert world.transport.called == ["a", "b"]
    assert headers["x-pulse-attempts"] == "2"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_an_answer_that_breaks_off_before_anything_was_said_is_asked_of_the_next(stream: bool) -> None:
    headers = EVENTS if stream else JSON
    pieces = [WHOLE] if stream else [msgspec.json.encode(ANSWER)]
    world = World(
        Transport(
            a=lambda: Scripted(200, headers, [StreamInterrupted("reset")]), b=lambda: Scripted(200, headers, pieces)
        )
    )
    async with world.gateway:
        assert (await world.ask("first", stream=stream))[0] == 200
    assert world.transport.called == ["a", "b"]
    assert [entry.outcome for entry in world.ledger.entries] == [Outcome.FAILED, Outcome.COMPLETED]


BEGINNING = frame({"role": "assistant", "content": ""})
FAILURE = b'data: {"error":{"message":"down","type":"server_error","code":null}}\n\n'


@pytest.mark.parametrize(
    "pieces",
    [
        [BEGINNING],
        [BEGINNING, FAILURE],
        [BEGINNING, b": ping\n\n", FAILURE],
        [BEGINNING, frame({"content": ""}), FAILURE],
        [BEGINNING + frame({"content": ""}) + FAILURE],
        [BEGINNING, StreamInterrupted("reset")],
    ],
    ids=[
        "it ends",
        "it fails",
        "it fails after a ping",
        "it fails after no word",
        "all of it at once",
        "it breaks off",
    ],
)
async def test_a_stream_that_has_only_begun_is_asked_of_the_next(pieces: list[bytes | BaseException]) -> None:
    """Nobody has heard a word of it; what the vendor may bill for the prompt stays charged."""
    world = World(Transport(a=lambda: Scripted(200, EVENTS, pieces), b=lambda: Scripted(200, EVENTS, [WHOLE])))
    async with world.gateway:
        status, body, _ = await world.ask("first", stream=True)
    assert (status, body.count(b"error"), body.count(HELLO)) == (200, 0, 1)
    assert world.transport.called[-1] == "b"
    assert [entry.outcome for entry in world.ledger.entries][-2:] == [Outcome.FAILED, Outcome.COMPLETED]
    assert world.ledger.entries[0].usage.input_tokens


async def test_a_stream_that_is_quiet_after_its_beginning_reaches_the_client_all_the_same() -> None:
    """A vendor that thinks for minutes sends frames without a word: the client is to see that it is at work."""
    pieces: list[bytes | BaseException | None] = [BEGINNING, b": ping\n\n", b": ping\n\n", None]
    world = World(Transport(a=lambda: Scripted(200, EVENTS, pieces)))
    body = msgspec.json.encode({**BODY, "model": "only", "stream": True})
    async with world.gateway:
        inbound = Inbound(dialect="openai.chat", body=body, principal=world.gateway.principal("u1"))
        async with await world.gateway.handle(inbound) as reply:
            assert (await anext(aiter(reply))).startswith(BEGINNING)
    world.check()


async def test_an_answer_that_breaks_off_in_the_middle_is_asked_of_nobody_again() -> None:
    world = World(Transport(a=lambda: Scripted(200, EVENTS, [HELLO]), b=lambda: Scripted(200, EVENTS, [WHOLE])))
    async with world.gateway:
        status, body, headers = await world.ask("first", stream=True)
        world.check()
    assert (status, headers["x-pulse-attempts"], world.transport.called) == (200, "1", ["a"])
    assert body.startswith(HELLO)
    assert body.count(HELLO) == 1
    assert b"upstream_interrupted" in body
    assert [entry.outcome for entry in world.ledger.entries] == [Outcome.INTERRUPTED]


async def test_an_error_whose_body_is_cut_keeps_its_status() -> None:
    world = World(Transport(a=lambda: Scripted(401, JSON, [b'{"error"', StreamInterrupted("reset")])))
    async with world.gateway:
        status, body, _ = await world.ask()
    assert status == 502
    assert b"upstream_unauthorized" in body


async def test_an_exception_nobody_expected_still_leaves_an_entry_and_a_closed_answer() -> None:
    world = World(Transport(a=lambda: Scripted(200, JSON, [ZeroDivisionError("a defect")])))
    async with world.gateway:
        status, body, _ = await world.ask()
    assert (status, b"a defect" in body) == (500, False)
    (entry,) = world.ledger.entries
    assert entry.outcome is Outcome.FAILED
    assert world.transport.given[0].closed
    world.check()


async def test_the_entry_does_not_wait_for_the_socket() -> None:
    world = World(Transport(a=lambda: Scripted(200, EVENTS, [WHOLE], close=OSError("cannot close"))))
    async with world.gateway:
        assert (await world.ask(stream=True))[0] == 200
    (entry,) = world.ledger.entries
    assert (entry.outcome, entry.tokens) == (Outcome.COMPLETED, 8)
    world.check()


@pytest.mark.parametrize("after", [None, StreamInterrupted("reset")], ids=["silence", "reset"])
async def test_what_follows_the_terminal_frame_changes_nothing(after: BaseException | None) -> None:
    world = World(Transport(a=lambda: Scripted(200, EVENTS, [WHOLE, after])))
    async with world.gateway:
        _, body, _ = await world.ask(stream=True)
    assert body.endswith(DONE)
    assert b'"error"' not in body
    assert world.ledger.entries[0].outcome is Outcome.COMPLETED
    assert world.ledger.entries[0].source is UsageSource.PROVIDER


@pytest.mark.parametrize("asked", [False, True], ids=["usage hidden", "usage asked for"])
async def test_an_error_never_sticks_to_the_frame_before_it(asked: bool) -> None:
    options = {"stream_options": {"include_usage": True}} if asked else {}
    world = World(Transport(a=lambda: Scripted(200, EVENTS, [HELLO + frame({"content": "x"}).rstrip(b"\n")])))
    async with world.gateway:
        _, body, _ = await world.ask(stream=True, **options)
    assert b'\n\ndata: {"error"' in body


async def test_what_came_before_a_malformed_frame_in_the_same_slice_arrives() -> None:
    broken = HELLO + frame({"content": " world"}) + b"data: {broken\n\n"
    for model, dialect in (("only", "openai.chat"), ("only", "anthropic.messages")):
        world = World(Transport(a=lambda: Scripted(200, EVENTS, [HELLO, broken])))
        async with world.gateway:
            _, body, _ = await world.ask(model, dialect=dialect, stream=True, max_tokens=50)
        assert b"world" in body
        assert body.count(b"upstream_bad_response") + body.count(b"api_error") >= 1
        assert body.count(b"event: error") <= 1


async def test_one_failure_is_told_once() -> None:
    error = b'data: {"error":{"message":"boom","type":"server_error","code":null}}\n\n'
    world = World(Transport(a=lambda: Scripted(200, EVENTS, [HELLO, error + b": comment\n\n" + DONE])))
    async with world.gateway:
        _, body, _ = await world.ask(dialect="anthropic.messages", stream=True, max_tokens=50)
    assert body.count(b"event: error") == 1
    assert world.ledger.entries[0].outcome is Outcome.INTERRUPTED


async def test_comments_before_the_first_event_are_not_kept_without_end() -> None:
    comments = (b": " + b"w" * 10_000 + b"\n\n") * 100
    world = World(Transport(a=lambda: Scripted(200, EVENTS, [comments] * 30)))
    async with world.gateway:
        status, body, _ = await world.ask(stream=True)
    assert status == 502
    assert b"upstream_bad_response" in body


async def test_an_answer_that_cannot_be_said_is_not_asked_for_again_but_paid() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{bad"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    odd = {**ANSWER, "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    world = World(Transport(a=lambda: Scripted(200, JSON, [msgspec.json.encode(odd)]), b=good))
    async with world.gateway:
        status, _, _ = await world.ask("first", dialect="anthropic.messages", max_tokens=50)
    assert status == 502
    assert world.transport.called == ["a"]
    (entry,) = world.ledger.entries
    assert (entry.outcome, entry.tokens) == (Outcome.FAILED, 8)


async def test_a_stream_whose_last_frame_cannot_be_said_ends_in_one_error() -> None:
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{bad"}}
    opening = frame({"role": "assistant", "tool_calls": [call]})
    pieces = [opening, frame({}, "tool_calls", usage=ANSWER["usage"]) + DONE]
    world = World(Transport(a=lambda: Scripted(200, EVENTS, pieces)))
    async with world.gateway:
        _, body, _ = await world.ask(dialect="anthropic.messages", stream=True, max_tokens=50)
    assert body.count(b"event: error") == 1
    assert b"message_stop" not in body
    (entry,) = world.ledger.entries
    assert (entry.outcome, entry.tokens) == (Outcome.INTERRUPTED, 8)


async def test_absurd_counts_are_not_believed() -> None:
    usage = {"prompt_tokens": 10**18, "completion_tokens": 3, "total_tokens": 10**18}
    world = World(Transport(a=lambda: Scripted(200, JSON, [msgspec.json.encode({**ANSWER, "usage": usage})])))
    async with world.gateway:
        await world.ask()
    assert world.ledger.entries[0].tokens <= 2 * 10**9


async def test_the_headers_of_a_whole_answer_tell_what_was_used_not_what_was_held() -> None:
    world = World(Transport(a=good), default_plan="starter")
    async with world.gateway:
        _, _, headers = await world.ask()
    assert headers["x-ratelimit-remaining-tokens"] == str(150_000 - 8)
    assert ";h=0;" in headers["pulse-quota"]


@pytest.mark.parametrize("name", ["a\nb", "x" * 257, "", "a\x00b", "a\u2028b"])
async def test_a_name_that_cannot_stand_in_a_header_is_refused(name: str) -> None:
    world = World(Transport(a=good))
    async with world.gateway:
        status, body, _ = await world.ask(f"echo:{name}" if name else "")
    assert status == 400
    assert b'"model"' in body
    assert world.ledger.entries == []
    world.check()


async def test_a_long_echo_leaves_others_their_turn() -> None:
    world = World(Transport(a=good))
    async with world.gateway:
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(others())
        messages = [{"role": "user", "content": "word " * 20_000}]
        _, body, _ = await world.ask("echo", stream=True, messages=messages)
        counting.cancel()
    assert body.endswith(DONE)
    assert turns > 100


async def test_cancelled_twice_the_hold_still_comes_back() -> None:
    world = World(Transport(a=lambda: Scripted(200, JSON, [None])))
    async with world.gateway:
        asking = asyncio.create_task(world.ask())
        while not world.transport.given:
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        async with asyncio.timeout(5):
            while world.limiter.outstanding:
                await asyncio.sleep(0)
    assert [entry.outcome for entry in world.ledger.entries] == [Outcome.CANCELLED]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_cancelled_at_every_turn_the_hold_comes_back_from_a_limiter_that_takes_its_time(stream: bool) -> None:
    pieces = [HELLO, None] if stream else [None]
    transport = Transport(a=lambda: Scripted(200, EVENTS if stream else JSON, pieces))
    world = World(transport, limiter=SlowLimiter(SystemClock()))
    async with world.gateway:
        asking = asyncio.create_task(world.ask(stream=stream))
        while not world.transport.given:
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)  # until it waits for what never comes
        while not asking.done():
            asking.cancel()
            await asyncio.sleep(0)
        assert asking.cancelled()
        async with asyncio.timeout(5):
            while world.limiter.outstanding:
                await asyncio.sleep(0)
    assert [entry.outcome for entry in world.ledger.entries] == [Outcome.CANCELLED]


@pytest.mark.parametrize(
    ("models", "names"),
    [
        ({"x": AliasConfig(targets=["openai:m"], fallbacks=["nonsense"])}, "nonsense"),
        ({"x": AliasConfig(targets=["nowhere:m"])}, "nowhere"),
        ({"x": AliasConfig(targets=["justaname"])}, "provider:model"),
    ],
)
def test_aliases_that_lead_nowhere_stop_the_start(models: dict[str, AliasConfig], names: str) -> None:
    with pytest.raises(ConfigError, match=names):
        Gateway(Config(models=models))


def test_a_hook_that_cannot_be_loaded_stops_the_start() -> None:
    from pulse_gateway.config import HookConfig, ModerationConfig

    with pytest.raises(ConfigError, match="nowhere"):
        Gateway(Config(moderation=ModerationConfig(hooks=[HookConfig(name="nowhere.at:All")])))


async def test_refusals_without_a_time_tell_one_where_it_helps() -> None:
    world = World(Transport(a=down(503)))
    async with world.gateway:
        status, _, headers = await world.ask()
    assert status == 503
    assert headers["retry-after"] == "1"


def test_every_upstream_error_says_what_may_be_tried_next() -> None:
    def below(kind: type[PulseError]) -> set[type[PulseError]]:
        return {kind, *(each for child in kind.__subclasses__() for each in below(child))}

    for kind in below(UpstreamError):
        assert kind.advice is not None  # type: ignore[attr-defined]
        assert 400 <= kind.status < 600
        assert kind.code.startswith(("upstream_", "context_", "content_", "model_", "request_"))
