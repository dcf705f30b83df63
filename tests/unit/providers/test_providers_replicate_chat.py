"""The steps of a chat at Replicate, one after the other."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import (
    AnswerInterrupted,
    UnsupportedParameter,
    UpstreamError,
    UpstreamFailed,
    UpstreamModelNotFound,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamRefusedContent,
    UpstreamUnauthorized,
)
from pulse_gateway.providers.offer import Billed, OnAbandon, Pause, Steps, Streamed
from pulse_gateway.providers.provider import UpstreamCall
from pulse_gateway.providers.replicate import REPLICATE
from pulse_gateway.types.catalog import Deployment, Model
from pulse_gateway.types.http import HttpAnswer, HttpRequest, Timeouts
from pulse_gateway.types.usage import Usage

HERE = "https://api.replicate.com/v1/predictions/p1"


def deployment(name: str = "openai/gpt-5", **more: Any) -> Deployment:
    model = Model(provider="replicate", name=name)
    return Deployment(provider="replicate", kind="replicate", model=model, base_url="", key="k", **more)


class Talk:
    """Steps that are answered as a test likes."""

    def __init__(
        self, *, stream: bool = False, left_s: float = float("inf"), asked: Any = None, to: Deployment | None = None
    ) -> None:
        body = msgspec.json.encode({"input": asked or {"prompt": "Hi"}})
        call = UpstreamCall(
            deployment=to or deployment(), body=body, stream=stream, trace_headers=(("traceparent", "t"),)
        )
        assert REPLICATE.chat_steps is not None
        self.steps: Steps[Any] = REPLICATE.chat_steps(call, left_s)
        self.at = next(self.steps)

    @property
    def request(self) -> HttpRequest:
        assert isinstance(self.at, HttpRequest)
        return self.at

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.request.headers)

    @property
    def body(self) -> Any:
        return msgspec.json.decode(self.request.body)

    def say(self, status: str, **fields: Any) -> Any:
        """A prediction. Returns what the steps return, if they are over."""
        return self.answer(msgspec.json.encode({"id": "p1", "status": status, **fields}))

    def answer(self, body: bytes | None) -> Any:
        return self._go(lambda: self.steps.send(None if body is None else HttpAnswer(200, (), body)))

    def over(self) -> Any:
        """What the steps return, now that there is nothing to stop any more."""
        assert self.at == OnAbandon(None)
        return self.answer(None)

    def fail(self, error: UpstreamError) -> Any:
        return self._go(lambda: self.steps.throw(error))

    def skip(self, kind: type[Any]) -> Any:
        assert isinstance(self.at, kind), self.at
        seen = self.at
        self.answer(None)
        return seen

    def _go(self, step: Any) -> Any:
        try:
            self.at = step()
        except StopIteration as end:
            return end.value
        return None


def test_a_prediction_is_waited_for_and_then_looked_at() -> None:
    talk = Talk(left_s=20.0)
    assert talk.request.url == "https://api.replicate.com/v1/models/openai/gpt-5/predictions"
    assert talk.body == {"input": {"prompt": "Hi"}}
    assert talk.headers["prefer"] == "wait=15"
    assert talk.headers["cancel-after"] == "20s"
    assert talk.headers["authorization"] == "Bearer k"
    assert talk.headers["traceparent"] == "t"
    talk.say("processing")
    assert talk.skip(OnAbandon).request.url == f"{HERE}/cancel"
    first = talk.skip(Pause)
    assert (talk.request.method, talk.request.url) == ("GET", HERE)
    talk.say("processing")
    assert talk.skip(Pause).seconds > first.seconds
    talk.say("succeeded", output=["a"])
    done = talk.over()
    assert msgspec.json.decode(done.body)["output"] == ["a"]


@pytest.mark.parametrize(
    ("left_s", "patience_s", "wait", "cancel"),
    [
        (float("inf"), None, "wait=60", None),
        (float("inf"), 30.0, "wait=25", None),
        (600.0, 300.0, "wait=60", "600s"),
        (2.0, 60.0, "wait=1", "5s"),
    ],
)
def test_nothing_is_waited_for_longer_than_anybody_waits(
    left_s: float, patience_s: float | None, wait: str, cancel: str | None
) -> None:
    talk = Talk(left_s=left_s, to=deployment(timeouts=Timeouts(first_byte_s=patience_s)))
    assert (talk.headers["prefer"], talk.headers.get("cancel-after")) == (wait, cancel)


@pytest.mark.parametrize(
    ("name", "path", "version"),
    [
        (f"me/mine:{'a' * 64}", "/predictions", f"me/mine:{'a' * 64}"),
        ("deployments/me/mine", "/deployments/me/mine/predictions", None),
    ],
)
def test_versions_and_deployments_have_addresses_of_their_own(name: str, path: str, version: str | None) -> None:
    talk = Talk(to=deployment(name))
    assert talk.request.url == "https://api.replicate.com/v1" + path
    assert talk.body.get("version") == version


def test_a_stream_is_heard_and_then_the_prediction_looked_at() -> None:
    talk = Talk(stream=True)
    assert "prefer" not in talk.headers
    talk.say("starting", urls={"stream": "https://stream.replicate.com/v1/p1"})
    streamed = talk._go(lambda: talk.steps.send(None))
    assert isinstance(streamed, Streamed)
    assert streamed.request.url == "https://stream.replicate.com/v1/p1"
    assert dict(streamed.request.headers)["accept"] == "text/event-stream"
    assert dict(streamed.request.headers)["authorization"] == "Bearer k"
    assert streamed.abandon.url == f"{HERE}/cancel"
    talk.steps = streamed.after()
    talk.at = next(talk.steps)
    assert talk.request.url == HERE
    talk.say("processing")
    talk.skip(Pause)
    last = talk.say("succeeded", output=["a"])
    assert last.startswith(b"\n\nevent: prediction\ndata: {")


def test_a_model_without_a_stream_is_waited_for_and_told_in_one_piece() -> None:
    talk = Talk(stream=True)
    talk.say("starting")
    talk.skip(OnAbandon)
    talk.skip(Pause)
    talk.say("succeeded", output="a")
    whole = talk.over()
    assert dict(whole.headers) == {"content-type": "text/event-stream"}
    assert b'"output":"a"' in whole.body


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/stream",
        "http://stream.replicate.com/x",
        "https://replicate.com.evil.example",
        "https://[",
        "ftp://a",
    ],
)
def test_the_key_goes_to_nobody_else(url: str) -> None:
    talk = Talk(stream=True)
    talk.say("starting", urls={"stream": url})
    with pytest.raises(UpstreamProtocolError):
        talk.steps.send(None)


def test_a_look_that_fails_is_taken_again_since_another_prediction_would_cost_again() -> None:
    talk = Talk()
    talk.say("processing")
    talk.skip(OnAbandon)
    for _ in range(3):
        talk.skip(Pause)
        talk.fail(UpstreamRateLimited("", retry_after_s=4.0))
    assert talk.skip(Pause).seconds == 4.0
    with pytest.raises(AnswerInterrupted):  # after which the same deployment is not asked again
        talk.fail(UpstreamRateLimited(""))


def test_but_not_one_that_will_fail_again() -> None:
    talk = Talk()
    talk.say("processing")
    talk.skip(OnAbandon)
    talk.skip(Pause)
    with pytest.raises(UpstreamUnauthorized):
        talk.fail(UpstreamUnauthorized(""))


def test_a_prediction_that_is_not_known_yet_is_looked_for_again() -> None:
    talk = Talk()
    talk.say("processing")
    talk.skip(OnAbandon)
    for _ in range(3):
        talk.skip(Pause)
        talk.fail(UpstreamModelNotFound("", upstream_status=404))
    talk.skip(Pause)
    with pytest.raises(AnswerInterrupted) as caught:  # it is not the model that is not there
        talk.fail(UpstreamModelNotFound("", upstream_status=404))
    assert caught.value.upstream_status == 404


def test_what_never_ran_is_not_owed() -> None:
    talk = Talk()
    talk.say("aborted")
    talk.skip(OnAbandon)
    talk.skip(OnAbandon)
    assert talk.at == Billed(Usage())
    with pytest.raises(UpstreamError, match="aborted"):
        talk.steps.send(None)


@pytest.mark.parametrize(
    ("words", "kind"), [("flagged as sensitive", UpstreamRefusedContent), ("interrupted", UpstreamFailed)]
)
def test_what_failed_is_raised(words: str, kind: type[UpstreamError]) -> None:
    talk = Talk()
    talk.say("failed", error=words)
    talk.skip(OnAbandon)
    with pytest.raises(kind):
        talk.steps.send(None)


def test_large_files_go_ahead_and_small_ones_along() -> None:
    small = "data:image/png;base64," + base64.b64encode(b"small").decode()
    large = "data:image/png;base64," + base64.b64encode(b"\x89PNG" + b"x" * 300_000).decode()
    prompt = "data:" + "x" * 400_000  # words, whatever they look like
    talk = Talk(asked={"prompt": prompt, "image_input": [small, large, "https://a.example/b.png"]})
    assert talk.request.url == "https://api.replicate.com/v1/files"
    assert b"\x89PNGxxx" in talk.request.body
    assert b"Content-Type: image/png" in talk.request.body or b"content-type: image/png" in talk.request.body
    talk.answer(b'{"urls":{"get":"https://api.replicate.com/v1/files/f1"}}')
    assert talk.skip(Billed) == Billed(Usage())
    assert talk.body["input"] == {
        "prompt": prompt,
        "image_input": [small, "https://api.replicate.com/v1/files/f1", "https://a.example/b.png"],
    }


def test_a_single_large_file_too() -> None:
    talk = Talk(
        asked={"prompt": "?", "image": "data:image/png;base64," + "A" * 400_000},
        to=deployment("anthropic/claude-4-sonnet"),
    )
    talk.answer(b'{"urls":{"get":"https://api.replicate.com/v1/files/f1"}}')
    talk.skip(Billed)
    assert talk.body["input"]["image"] == "https://api.replicate.com/v1/files/f1"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id":"p1"}', b'{"id":1,"status":"starting"}'])
def test_an_answer_that_is_no_prediction_is_the_vendors_fault(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        Talk().answer(body)


def test_a_model_that_nobody_knows_to_chat_is_not_run() -> None:
    with pytest.raises(UnsupportedParameter, match=r"openai/gpt-5.*operation 'chat'") as caught:
        REPLICATE.dialect_of("openai.chat", lambda: None, deployment("black-forest-labs/flux-dev"))  # type: ignore[arg-type,return-value]
    assert caught.value.param == "model"
