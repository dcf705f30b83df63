"""Failures on demand."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from simulator_wire import Wire

from pulse_gateway.testing.simulator import FaultSpecError, Simulator
from pulse_gateway.testing.simulator.faults import Faults, parse_faults, split_model

USER: Any = [{"role": "user", "content": "hi"}]
STREAM: Any = {"model": "gpt-4.1", "messages": USER, "stream": True}
WHOLE: Any = {"model": "gpt-4.1", "messages": USER}


# ── the grammar ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_model_name_carries_a_spec() -> None:
    assert split_model("gpt-5.2+status=429,retry-after=1") == ("gpt-5.2", "status=429,retry-after=1")
    assert split_model("gpt-5.2") == ("gpt-5.2", "")


def test_a_spec_is_keys_with_values_and_flags() -> None:
    spec = "status=503, retry-after=Wed%2C%2021%20Oct%202026,delay=0.5,no-done,one-byte,blocked"
    assert parse_faults(spec) == Faults(
        status=503, retry_after="Wed, 21 Oct 2026", delay=0.5, no_done=True, one_byte=True, blocked="SAFETY"
    )
    assert parse_faults("") == Faults()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("statsu=503", "did you mean 'status'"),
        ("status", "needs a value"),
        ("status=abc", "takes a number"),
        ("status=99", "from 200 to 599"),
        ("malformed=0", "from 1"),
        ("delay=nan", "takes a number from 0"),
        ("no-done=3", "takes no value"),
        ("content-type=a%0D%0Ab", "printable ASCII"),
    ],
)
async def test_a_spec_that_cannot_be_read_is_a_400_that_says_why(wire: Wire, spec: str, message: str) -> None:
    with pytest.raises(FaultSpecError, match=message):
        parse_faults(spec)
    response = await wire.openai({**WHOLE, "model": f"gpt-4.1+{spec}"})
    assert response.status_code == 400
    assert message in response.json()["error"]["message"]


async def test_the_header_wins_over_the_model(wire: Wire) -> None:
    body = {**WHOLE, "model": "gpt-4.1+status=500"}
    assert (await wire.openai(body)).status_code == 500
    assert (await wire.openai(body, x_simulate="status=503")).status_code == 503
    assert (await wire.openai(body, x_simulate="tokens=5")).status_code == 200


async def test_a_spec_survives_the_path_of_gemini(wire: Wire) -> None:
    body = {"contents": [{"parts": [{"text": "hi"}]}]}
    for model in ("gemini-3.8-flash+status=429,retry-after=2", "gemini-3.8-flash%2Bstatus%3D429%2Cretry-after%3D2"):
        response = await wire.gemini(model, body)
        assert response.status_code == 429
        assert response.json()["error"]["details"][-1]["retryDelay"] == "2s"


async def test_a_bad_request_stays_bad_whatever_is_injected(wire: Wire) -> None:
    response = await wire.openai({**WHOLE, "frobnicate": 1}, x_simulate="status=503")
    assert response.status_code == 400


# ── errors instead of answers ─────────────────────────────────────────────────────────────────────────────────────────


async def test_retry_headers_are_sent_as_they_are_given(wire: Wire) -> None:
    response = await wire.openai(WHOLE, x_simulate="status=429,retry-after=7,retry-after-ms=6500")
    assert (response.headers["retry-after"], response.headers["retry-after-ms"]) == ("7", "6500")
    response = await wire.openai(WHOLE, x_simulate="status=503,retry-after=Wed%2C%2021%20Oct%202026%2007:28:00%20GMT")
    assert response.headers["retry-after"] == "Wed, 21 Oct 2026 07:28:00 GMT"


async def test_first_n_requests_fail_then_all_succeed_until_a_reset(wire: Wire, simulator: Simulator) -> None:
    async def statuses(spec: str) -> list[int]:
        return [(await wire.openai(WHOLE, x_simulate=spec)).status_code for _ in range(4)]

    assert await statuses("status=500,first=2") == [500, 500, 200, 200]
    assert await statuses("status=503,first=1") == [503, 200, 200, 200]
    assert await statuses("status=500,first=2") == [200, 200, 200, 200]
    simulator.reset()
    assert await statuses("status=500,first=2") == [500, 500, 200, 200]


async def test_every_nth_request_fails_and_steering_stays(wire: Wire) -> None:
    answers = [await wire.openai(WHOLE, x_simulate="status=500,every=3,tokens=9") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200, 200, 500, 200, 200, 500]
    assert answers[0].json()["usage"]["completion_tokens"] == 9


async def test_an_html_page_comes_instead_of_json(wire: Wire) -> None:
    response = await wire.openai(WHOLE, x_simulate="html")
    assert (response.status_code, response.headers["content-type"]) == (502, "text/html; charset=UTF-8")
    assert response.text.startswith("<html>")
    assert (await wire.openai(WHOLE, x_simulate="html,status=200")).status_code == 200


async def test_an_error_after_k_frames_of_what_is_no_stream_is_a_plain_error(wire: Wire) -> None:
    assert (await wire.openai(WHOLE, x_simulate="error=2,status=503")).status_code == 503


# ── answers that go wrong ─────────────────────────────────────────────────────────────────────────────────────────────


async def frames_until_it_breaks(simulator: Simulator, spec: str) -> tuple[list[bytes], Exception | None]:
    """What a stream brings under `spec`: its frames, and how it broke."""
    received = b""
    failure: Exception | None = None
    async with httpx.AsyncClient(base_url=simulator.url, timeout=0.3) as client:
        headers = {"authorization": "Bearer k", "x-simulate": spec}
        async with client.stream("POST", "/v1/chat/completions", json=STREAM, headers=headers) as response:
            try:
                async for data in response.aiter_bytes():
                    received += data
            except httpx.TransportError as error:
                failure = error
    return [frame for frame in received.split(b"\n\n") if frame], failure


async def test_a_cut_ends_the_stream_cleanly_after_k_frames(simulator: Simulator) -> None:
    frames, failure = await frames_until_it_breaks(simulator, "cut=4")
    assert (len(frames), failure) == (4, None)
    assert all(json.loads(frame.removeprefix(b"data: "))["choices"] for frame in frames)


async def test_a_drop_closes_the_connection_in_the_middle_of_the_body(simulator: Simulator) -> None:
    frames, failure = await frames_until_it_breaks(simulator, "drop=4")
    assert len(frames) == 4
    assert isinstance(failure, httpx.RemoteProtocolError)


async def test_a_reset_is_a_tcp_reset_after_k_frames(simulator: Simulator) -> None:
    frames, failure = await frames_until_it_breaks(simulator, "reset=4")
    assert len(frames) == 4
    assert isinstance(failure, httpx.ReadError)


async def test_a_reset_is_seen_by_the_socket_as_one(simulator: Simulator) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    body = json.dumps(STREAM).encode()
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: s\r\nauthorization: Bearer k\r\nx-simulate: reset=2\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(body), body)
    )
    with pytest.raises(ConnectionResetError):
        await reader.read(-1)
    writer.close()


async def test_a_stall_falls_silent_until_the_client_leaves(simulator: Simulator) -> None:
    frames, failure = await frames_until_it_breaks(simulator, "stall=4")
    assert len(frames) == 4
    assert isinstance(failure, httpx.ReadTimeout)
    async with asyncio.timeout(5):
        while simulator.stats().requests[-1].outcome == "open":
            await asyncio.sleep(0)
    assert simulator.stats().requests[-1].outcome == "aborted"


async def test_frame_k_is_broken_json_and_the_rest_is_well(simulator: Simulator) -> None:
    good, _ = await frames_until_it_breaks(simulator, "tokens=40")
    bad, _ = await frames_until_it_breaks(simulator, "tokens=40,malformed=3")
    assert len(good) == len(bad)
    assert [at for at, (one, other) in enumerate(zip(good, bad, strict=True)) if one != other] == [2]
    assert bad[2].startswith(b"data: {")
    with pytest.raises(json.JSONDecodeError):
        json.loads(bad[2].removeprefix(b"data: "))


async def test_broken_frames_keep_the_framing_of_their_vendor(wire: Wire) -> None:
    messages = {"model": "claude-sonnet-5", "max_tokens": 50, "messages": USER}
    contents = {"contents": [{"parts": [{"text": "hi"}]}]}
    streamed = [
        (await wire.anthropic({**messages, "stream": True}, x_simulate="malformed=2")).text.split("\n\n")[1],
        (await wire.gemini("sim", contents, "streamGenerateContent?alt=sse", x_simulate="malformed=2")).text.split(
            "\r\n\r\n"
        )[1],
    ]
    whole = [
        await wire.anthropic(messages, x_simulate="malformed=1"),
        await wire.gemini("sim", contents, x_simulate="malformed=1"),
    ]
    assert streamed[0].startswith("event: content_block_start\ndata: {")
    assert streamed[1].startswith("data: {")
    for text in [*(frame.rpartition("data: ")[2] for frame in streamed), *(answer.text for answer in whole)]:
        with pytest.raises(json.JSONDecodeError):
            json.loads(text)


async def test_an_error_event_comes_after_k_frames_and_nothing_after_it(simulator: Simulator) -> None:
    frames, failure = await frames_until_it_breaks(simulator, "error=4,status=503")
    assert failure is None
    assert len(frames) == 5
    assert json.loads(frames[4].removeprefix(b"data: "))["error"]["code"] == "server_is_overloaded"


async def test_more_frames_than_there_are_change_nothing_and_errors_still_come_before_the_end_mark(
    simulator: Simulator,
) -> None:
    whole, _ = await frames_until_it_breaks(simulator, "tokens=40")
    cut, _ = await frames_until_it_breaks(simulator, "tokens=40,cut=1000")
    assert cut == whole
    assert simulator.stats().requests[-1].outcome == "completed"
    failed, _ = await frames_until_it_breaks(simulator, "tokens=40,error=1000")
    assert failed[:-1] == whole[:-1]
    assert b'"error"' in failed[-1]


async def test_an_error_can_be_the_first_frame_of_every_kind_of_stream(wire: Wire) -> None:
    body = {"contents": [{"parts": [{"text": "hi"}]}]}
    array = await wire.gemini("gemini-2.5-flash", body, "streamGenerateContent", x_simulate="error=0")
    assert array.json()[0]["error"]["status"] == "UNAVAILABLE"
    later = await wire.gemini("gemini-2.5-flash", body, "streamGenerateContent", x_simulate="error=2")
    assert [next(iter(item)) for item in later.json()] == ["candidates", "candidates", "error"]
    messages = {"model": "claude-sonnet-5", "max_tokens": 50, "messages": USER, "stream": True}
    response = await wire.anthropic(messages, x_simulate="error=0")
    assert response.status_code == 200
    assert response.text.startswith("event: error\n")


async def test_the_end_mark_can_be_missing(wire: Wire, simulator: Simulator) -> None:
    frames, failure = await frames_until_it_breaks(simulator, "no-done")
    assert failure is None
    assert frames[-1] != b"data: [DONE]"
    body = {"model": "claude-sonnet-5", "max_tokens": 50, "messages": USER, "stream": True}
    assert b"message_stop" not in (await wire.anthropic(body, x_simulate="no-done")).content
    gemini = {"contents": [{"parts": [{"text": "hi"}]}]}
    text = (await wire.gemini("gemini-2.5-flash", gemini, "streamGenerateContent", x_simulate="no-done")).text
    assert "finishReason" not in text


async def test_usage_can_be_missing(wire: Wire) -> None:
    body = {**STREAM, "stream_options": {"include_usage": True}}
    assert "prompt_tokens" not in (await wire.openai(body, x_simulate="no-usage")).text
    assert "usage" not in (await wire.openai(WHOLE, x_simulate="no-usage")).json()
    anthropic = {"model": "claude-sonnet-5", "max_tokens": 50, "messages": USER, "stream": True}
    assert "input_tokens" not in (await wire.anthropic(anthropic, x_simulate="no-usage")).text
    gemini = {"contents": [{"parts": [{"text": "hi"}]}]}
    assert "usageMetadata" not in (await wire.gemini("gemini-2.5-flash", gemini, x_simulate="no-usage")).json()


@pytest.mark.parametrize("spec", ["one-byte", "split"])
async def test_slicing_changes_no_byte(wire: Wire, spec: str) -> None:
    body = {**STREAM, "messages": [{"role": "user", "content": "مرحبا 🙂"}], "max_tokens": 20}
    plain = await wire.openai(body)
    sliced = await wire.openai(body, x_simulate=spec)
    assert sliced.content == plain.content
    assert sliced.headers["content-type"] == plain.headers["content-type"]


async def test_one_byte_writes_arrive_one_by_one(simulator: Simulator) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    body = json.dumps({**WHOLE, "max_tokens": 3}).encode()
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: s\r\nauthorization: Bearer k\r\nx-simulate: one-byte\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(body), body)
    )
    sizes = [len(await reader.read(65536)) for _ in range(50)]
    writer.close()
    assert sum(sizes) / len(sizes) < 8  # the kernel may join some


async def test_one_huge_event(simulator: Simulator) -> None:
    frames, failure = await frames_until_it_breaks(simulator, "huge=300000")
    assert failure is None
    assert max(map(len, frames)) > 300_000
    assert len(frames) == 4  # role, text, finish, end mark


async def test_a_body_can_be_empty_or_of_another_type_or_length(wire: Wire) -> None:
    empty = await wire.openai(WHOLE, x_simulate="empty")
    assert (empty.status_code, empty.content, empty.headers["content-length"]) == (200, b"", "0")
    assert (await wire.openai(WHOLE, x_simulate="empty,status=500")).content == b""
    odd = await wire.openai(WHOLE, x_simulate="content-type=text%2Fplain")
    assert odd.headers["content-type"] == "text/plain"
    for body in (WHOLE, STREAM):
        with pytest.raises(httpx.RemoteProtocolError):
            await wire.openai(body, x_simulate="wrong-length")


async def test_a_body_that_is_not_streamed_breaks_too(wire: Wire) -> None:
    for spec in ("cut=2", "drop=2"):
        with pytest.raises(httpx.RemoteProtocolError):
            await wire.openai(WHOLE, x_simulate=spec)
    with pytest.raises(httpx.ReadError):
        await wire.openai(WHOLE, x_simulate="reset=1")
    malformed = await wire.openai(WHOLE, x_simulate="malformed=1")
    with pytest.raises(json.JSONDecodeError):
        malformed.json()


async def test_delays_are_kept(wire: Wire) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    await wire.openai(WHOLE, x_simulate="delay=0.1")
    assert loop.time() - started >= 0.1
    started = loop.time()
    await wire.openai(STREAM, x_simulate="chunks=4,chunk-delay=0.02")
    assert loop.time() - started >= 7 * 0.02  # role, four pieces, finish, end mark


# ── steering ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_answers_are_as_long_and_in_as_many_pieces_as_asked(wire: Wire, simulator: Simulator) -> None:
    for tokens in (1, 17, 5000):
        reply = await wire.openai(WHOLE, x_simulate=f"tokens={tokens}")
        assert reply.json()["usage"]["completion_tokens"] == tokens
    frames, _ = await frames_until_it_breaks(simulator, "chunks=5")
    assert len(frames) == 8


async def test_more_cached_tokens_than_the_prompt_has_make_it_longer(wire: Wire) -> None:
    usage = (await wire.openai(WHOLE, x_simulate="cached=1000,cache-write=24")).json()["usage"]
    assert usage["prompt_tokens"] == 1024
    usage = (await wire.openai(WHOLE, x_simulate="input=5000,cached=1000")).json()["usage"]
    assert (usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]) == (5000, 1000)
