"""Replicate's face of the simulator: predictions over time, on the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import replicate.webhook

from pulse_gateway.testing.simulator import Config, Simulator
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.media import image_size, image_type
from pulse_gateway.testing.simulator.replicate.surface import Replicate
from pulse_gateway.testing.simulator.vendor import Refusal, Request

FLUX = "black-forest-labs/flux-schnell"
BANANA = "google/nano-banana"
VEO = "google/veo-3"
LLAMA = "meta/meta-llama-3-70b-instruct"


class Client:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def create(self, model: str, input: Any = None, *, headers: Any = None, **body: Any) -> httpx.Response:
        body = {"input": {"prompt": "a cat"} if input is None else input, **body}
        return await self.http.post(f"/v1/models/{model}/predictions", json=body, headers=headers)

    async def get(self, url: str) -> Any:
        return (await self.http.get(url)).json()


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[Client]:
    headers = {"authorization": "Bearer r8_a"}
    async with httpx.AsyncClient(base_url=simulator.url, headers=headers, verify=False) as http:
        yield Client(http)


async def test_a_prediction_goes_on_as_it_is_looked_at(client: Client, simulator: Simulator) -> None:
    created = await client.create(FLUX, {"prompt": "a cat", "num_outputs": 2, "output_format": "png"})
    first = created.json()
    assert (created.status_code, first["status"], first["output"]) == (201, "starting", None)
    looks = [await client.get(first["urls"]["get"]) for _ in range(4)]
    assert [look["status"] for look in looks] == ["processing", "processing", "succeeded", "succeeded"]
    assert looks[1]["logs"].splitlines()[-1].startswith(" 66%|")
    done = looks[-1]
    assert len(done["output"]) == 2
    assert done["metrics"]["predict_time"] > 0
    records = [record.units for record in simulator.stats().requests]
    assert records == [{"images": 2, "predict_ms": round(done["metrics"]["predict_time"] * 1000)}, {}, {}, {}, {}]


@pytest.mark.parametrize(
    ("model", "input", "kind", "size"),
    [
        (FLUX, {"prompt": "p", "aspect_ratio": "16:9"}, "image/webp", (1344, 768)),
        (BANANA, {"prompt": "p", "image_input": ["data:image/png;base64,AAAA"]}, "image/jpeg", (1024, 1024)),
        (
            "google/nano-banana-pro",
            {"prompt": "p", "resolution": "2K", "output_format": "png"},
            "image/png",
            (2048, 2048),
        ),
        ("somebody/something", {"anything": [1], "width": 64, "height": 32}, "image/webp", (64, 32)),
    ],
)
async def test_waiting_brings_a_picture_that_anybody_can_fetch(
    client: Client, simulator: Simulator, model: str, input: Any, kind: str, size: Any
) -> None:
    reply = await client.create(model, input, headers={"prefer": "wait=5"})
    output = reply.json()["output"]
    assert (reply.status_code, reply.json()["status"]) == (201, "succeeded")
    async with httpx.AsyncClient(verify=False) as stranger:
        file = await stranger.get(output if isinstance(output, str) else output[0])
    assert (file.headers["content-type"], image_type(file.content), image_size(file.content)) == (kind, kind, size)
    assert simulator.stats().requests[0].units["images"] == 1


async def test_a_video_is_billed_by_its_length(client: Client, simulator: Simulator) -> None:
    reply = (await client.create(VEO, {"prompt": "p", "duration": 6}, headers={"prefer": "wait"})).json()
    file = await client.http.get(reply["output"])
    assert (file.headers["content-type"], file.content[4:8]) == ("video/mp4", b"ftyp")
    assert simulator.stats().requests[0].units["video_ms"] == 6000


async def test_text_comes_in_pieces_polled_or_streamed(client: Client) -> None:
    created = (await client.create(LLAMA + "+polls=1", {"prompt": "hello"})).json()
    partial = (await client.get(created["urls"]["get"]))["output"]
    whole = (await client.get(created["urls"]["get"]))["output"]
    assert 0 < len(partial) < len(whole)
    assert whole[: len(partial)] == partial
    again = (await client.create(LLAMA, {"prompt": "hello"})).json()
    stream = await client.http.get(again["urls"]["stream"], headers={"accept": "text/event-stream"})
    frames = [frame.split("\n") for frame in stream.text.strip().split("\n\n")]
    assert stream.headers["content-type"] == "text/event-stream"
    assert [frame[0] for frame in frames] == ["event: output"] * len(whole) + ["event: done"]
    assert all(frame[1].startswith("id: ") for frame in frames)
    assert [frame[2].removeprefix("data: ") for frame in frames] == [*whole, "{}"]
    assert (await client.get(again["urls"]["get"]))["status"] == "succeeded"


async def test_a_text_is_billed_once_by_whoever_has_it(client: Client, simulator: Simulator) -> None:
    waited = (await client.create(LLAMA, {"prompt": "hello"}, headers={"prefer": "wait"})).json()
    counts = waited["metrics"]["input_token_count"], waited["metrics"]["output_token_count"]
    created = (await client.create(LLAMA, {"prompt": "hello"})).json()
    await client.http.get(created["urls"]["stream"])
    assert (await client.get(created["urls"]["get"]))["status"] == "succeeded"
    await client.http.get(created["urls"]["stream"])
    records = simulator.stats().requests
    assert [(each.operation, each.billed.input, each.billed.output) for each in records] == [
        ("create", *counts),
        ("create", 0, 0),
        ("stream", *counts),
        ("poll", 0, 0),
        ("stream", 0, 0),
    ]
    assert simulator.stats().providers["replicate"].billed.total == 2 * sum(counts)


async def test_what_is_heard_can_be_stopped_until_it_is_looked_at(client: Client) -> None:
    created = (await client.create(LLAMA, {"prompt": "hello"})).json()
    await client.http.get(created["urls"]["stream"])
    stopped = (await client.http.post(created["urls"]["cancel"])).json()
    assert stopped["status"] == "canceled"


async def test_thinking_is_counted_in_the_logs_and_nothing_without_counts(client: Client) -> None:
    wait = {"prefer": "wait"}
    asked = {"prompt": "hello", "reasoning_effort": "high"}
    done = (await client.create("openai/gpt-5", asked, headers=wait)).json()
    assert "- Reasoning tokens: 64\n" in done["logs"]
    silent = (await client.create("openai/gpt-5+no-usage", asked, headers=wait)).json()
    assert "output_token_count" not in silent["metrics"]


@pytest.mark.parametrize(
    ("model", "status", "units"),
    [
        (FLUX + "+finish=failed", "failed", {}),
        (FLUX + "+refusal", "failed", {}),
        (FLUX + "+finish=canceled", "canceled", {}),
        (FLUX + "+finish=aborted", "aborted", {}),
    ],
)
async def test_it_can_end_otherwise(client: Client, simulator: Simulator, model: str, status: str, units: Any) -> None:
    reply = (await client.create(model, headers={"prefer": "wait"})).json()
    assert (reply["status"], reply["output"]) == (status, None)
    assert (reply["error"] is not None) == (status == "failed")
    assert ("flagged as sensitive" in (reply["error"] or "")) == model.endswith("refusal")
    assert simulator.stats().requests[0].units == units


async def test_cancelling_ends_it_and_hardware_is_paid_for(client: Client, simulator: Simulator) -> None:
    version = "stability-ai/sdxl"
    created = (await client.http.post("/v1/predictions", json={"version": version, "input": {}})).json()
    await client.get(created["urls"]["get"])
    canceled = (await client.http.post(created["urls"]["cancel"])).json()
    assert (canceled["status"], canceled["completed_at"] is not None) == ("canceled", True)
    assert (await client.get(created["urls"]["get"]))["status"] == "canceled"
    assert list(simulator.stats().requests[0].units) == ["predict_ms"]


async def test_versions_are_named_in_three_ways_and_deployments_in_one(client: Client) -> None:
    version = (await client.get(f"/v1/models/{FLUX}/versions"))["results"][0]["id"]
    for sent in (FLUX, version, f"{FLUX}:{version}"):
        reply = await client.http.post("/v1/predictions", json={"version": sent, "input": {"prompt": "p"}})
        assert (reply.status_code, reply.json()["model"], reply.json()["version"]) == (201, FLUX, version)
    reply = await client.http.post("/v1/deployments/acme/flux/predictions", json={"input": {"prompt": "p"}})
    assert (reply.status_code, reply.json()["model"]) == (201, "acme/flux")
    assert (await client.get("/v1/deployments/acme/flux"))["current_release"]["model"] == "acme/flux"
    assert (await client.http.get(f"/v1/models/{FLUX}/versions/{'0' * 64}")).status_code == 404
    assert (await client.http.post("/v1/predictions", json={"version": "x", "input": {}})).json()["title"] == (
        "Invalid version or not permitted"
    )
    assert (await client.create("stability-ai/sdxl", {})).status_code == 404


@pytest.mark.parametrize(
    ("model", "body", "headers", "status", "words"),
    [
        (FLUX, {"input": {}}, {}, 422, "- input: prompt is required"),
        (FLUX, {"input": {"prompt": "p", "size": "1x1"}}, {}, 422, "Additional property size is not allowed"),
        (FLUX, {"input": {"prompt": 1}}, {}, 422, "- input.prompt: Invalid type. Expected: string"),
        (FLUX, {"input": {"prompt": "p", "num_outputs": 5}}, {}, 422, "Must be less than or equal to 4"),
        (FLUX, {"input": {"prompt": "p", "num_outputs": True}}, {}, 422, "Invalid type. Expected: integer"),
        (FLUX, {"input": {"prompt": "p", "aspect_ratio": "7:1"}}, {}, 422, "is not one of"),
        (VEO, {"input": {"prompt": "p", "duration": 5}}, {}, 422, "5 is not one of [4, 6, 8]"),
        (VEO, {"input": {"prompt": "p", "image": "file:///etc/passwd"}}, {}, 422, "Does not match format 'uri'"),
        (BANANA, {"input": {"prompt": "p", "image_input": ["aGk="]}}, {}, 422, "Does not match format 'uri'"),
        (FLUX, {"input": {"prompt": "p"}, "version": "a/b"}, {}, 422, "version: Additional property is not allowed"),
        (FLUX, {"input": {"prompt": "p"}, "webhook": "x"}, {}, 422, "webhook: Does not match format 'uri'"),
        (FLUX, {"input": {"prompt": "p"}, "webhook": "http://a", "webhook_events_filter": ["done"]}, {}, 422, "done"),
        (FLUX, {"prompt": "p"}, {}, 422, "Additional property is not allowed"),
        (FLUX, {"input": {"prompt": "p"}}, {"prefer": "wait=61"}, 400, "between 1 and 60"),
        (FLUX, {"input": {"prompt": "p"}}, {"cancel-after": "4s"}, 400, "at least 5 seconds"),
        (FLUX, {"input": {"prompt": "p"}}, {"cancel-after": "soon"}, 400, "Cancel-After"),
        (FLUX, {"input": {"prompt": "p"}}, {"authorization": "Bearer wrong"}, 401, "valid authentication token"),
        (FLUX + "+status=402", {"input": {"prompt": "p"}}, {}, 402, "insufficient credit"),
    ],
)
async def test_errors_are_problem_details(
    client: Client, model: str, body: Any, headers: dict[str, str], status: int, words: str
) -> None:
    reply = await client.http.post(f"/v1/models/{model}/predictions", json=body, headers=headers)
    assert (reply.status_code, reply.json()["status"]) == (status, status)
    assert words in reply.json()["detail"]
    assert reply.json()["title"]


async def test_throttling_says_when_to_come_back(client: Client) -> None:
    reply = await client.create(FLUX + "+status=429,retry-after=3")
    assert reply.headers["retry-after"] == "3"
    assert reply.json()["detail"] == "Request was throttled. Expected available in 3 seconds."


async def test_one_look_at_a_prediction_can_fail(client: Client, simulator: Simulator) -> None:
    created = (await client.create(FLUX + "+at=poll,status=503,first=1,polls=0")).json()
    looks = [await client.http.get(created["urls"]["get"]) for _ in range(2)]
    assert [look.status_code for look in looks] == [503, 200]
    made = (await client.create(FLUX + "+at=deliver,drop=0", headers={"prefer": "wait"})).json()["output"][0]
    with pytest.raises(httpx.RemoteProtocolError):
        await client.http.get(made)
    assert simulator.stats().providers["replicate"].faulted == 1


async def test_predictions_are_listed_newest_first_page_by_page(client: Client) -> None:
    ids = [(await client.create(FLUX)).json()["id"] for _ in range(101)]
    page = await client.get("/v1/predictions")
    assert [each["id"] for each in page["results"]] == ids[:0:-1]
    last = await client.get(page["next"])
    assert ([each["id"] for each in last["results"]], last["next"]) == (ids[:1], None)
    assert len((await client.get(last["previous"]))["results"]) == 100
    assert (await client.http.get("/v1/predictions?cursor=zz")).status_code == 400


async def test_files_go_up_and_come_down(client: Client) -> None:
    form = {"content": ("a.txt", b"abc", "text/plain")}
    created = await client.http.post("/v1/files", files=form, data={"metadata": '{"a":1}'})
    file = created.json()
    assert (created.status_code, file["name"], file["size"], file["metadata"]) == (201, "a.txt", 3, {"a": 1})
    assert (await client.get(file["urls"]["get"]))["id"] == file["id"]
    assert (await client.http.get(file["urls"]["get"] + "/download")).content == b"abc"
    assert len((await client.get("/v1/files"))["results"]) == 1
    assert (await client.http.delete(file["urls"]["get"])).status_code == 204
    assert (await client.http.get(file["urls"]["get"])).status_code == 404
    assert (await client.http.post("/v1/files", files={"file": b"abc"})).status_code == 422


class Clock:
    now_s = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now_s


def _request(method: str, path: str, body: Any = None, **headers: str) -> Request:
    sent = {"authorization": "Bearer r8_a", "content-type": "application/json", "host": "h", **headers}
    return Request(method, path, {}, {name.replace("_", "-"): v for name, v in sent.items()}, json.dumps(body).encode())


def _ask(surface: Replicate, request: Request) -> Any:
    target = surface.route(request)
    assert target is not None
    surface.admit(request, target)
    data = surface.work(request, target).render(Faults())[0].data
    return json.loads(data) if data[:1] == b"{" else data


@pytest.mark.parametrize(("looks", "status"), [(0, "aborted"), (1, "canceled")])
def test_a_deadline_ends_what_is_not_done(looks: int, status: str) -> None:
    clock = Clock()
    surface = Replicate(0, Config(), clock)
    body = {"input": {"prompt": "p"}}
    created = _ask(surface, _request("POST", f"/v1/models/{FLUX}+polls=9/predictions", body, cancel_after="1m5s"))
    assert created["deadline"] > created["created_at"]
    path = f"/v1/predictions/{created['id']}"
    for _ in range(looks):
        assert _ask(surface, _request("GET", path))["status"] == "processing"
    clock.now_s += 65
    assert _ask(surface, _request("GET", path))["status"] == status


def test_after_an_hour_files_and_inputs_are_gone() -> None:
    clock = Clock()
    surface = Replicate(0, Config(), clock)
    done = _ask(surface, _request("POST", f"/v1/models/{FLUX}/predictions", {"input": {"prompt": "p"}}, prefer="wait"))
    path = done["output"][0].removeprefix("http://h")
    assert _ask(surface, _request("GET", path))[:4] == b"RIFF"
    clock.now_s += 3600
    with pytest.raises(Refusal):
        _ask(surface, _request("GET", path))
    later = _ask(surface, _request("GET", f"/v1/predictions/{done['id']}"))
    assert (later["data_removed"], later["input"], later["output"]) == (True, {}, None)


class Listener:
    """Somebody whom webhooks are sent to; answers with `statuses`, then with 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.received: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        status = self.statuses.pop(0) if self.statuses else 200
        writer.write(f"HTTP/1.1 {status} Whatever\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        self.received.put_nowait((headers, body))

    async def take(self) -> tuple[dict[str, str], Any]:
        async with asyncio.timeout(10):
            headers, body = await self.received.get()
        return headers, json.loads(body)


@pytest.fixture
async def listener() -> AsyncIterator[tuple[Listener, str]]:
    listening = Listener()
    server = await asyncio.start_server(listening.serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield listening, f"http://127.0.0.1:{port}/hook?user=1"


async def test_a_webhook_tells_of_a_prediction_that_nobody_looks_at(
    client: Client, simulator: Simulator, listener: tuple[Listener, str]
) -> None:
    listening, url = listener
    created = (
        await client.create(FLUX, webhook=url, webhook_events_filter=["start", "logs", "output", "completed"])
    ).json()
    told = [await listening.take() for _ in range(4)]
    assert [body["status"] for _, body in told] == ["processing", "processing", "succeeded", "succeeded"]
    assert {body["id"] for _, body in told} == {created["id"]}
    assert len({headers["webhook-id"] for headers, _ in told}) == 4
    assert simulator.stats().requests[0].units["images"] == 1


async def test_webhooks_are_signed(client: Client, listener: tuple[Listener, str]) -> None:
    listening, url = listener
    await client.create(FLUX, webhook=url, webhook_events_filter=["completed"])
    async with asyncio.timeout(10):
        headers, body = await listening.received.get()
    secret = replicate.webhook.WebhookSigningSecret(**await client.get("/v1/webhooks/default/secret"))
    check = replicate.webhook.Webhooks.validate
    check(headers=headers, body=body.decode(), secret=secret, tolerance=60)
    with pytest.raises(replicate.webhook.InvalidSignatureError):
        check(headers=headers, body=body.decode() + " ", secret=secret)


async def test_the_last_webhook_is_sent_until_it_is_taken(client: Client, listener: tuple[Listener, str]) -> None:
    listening, url = listener
    listening.statuses = [500, 302, 404]
    await client.create(FLUX, webhook=url, webhook_events_filter=["start", "completed"])
    told = [await listening.take() for _ in range(4)]
    assert [body["status"] for _, body in told] == ["processing", "succeeded", "succeeded", "succeeded"]
    assert len({headers["webhook-id"] for headers, _ in told}) == 2


async def test_webhooks_can_come_twice(client: Client, listener: tuple[Listener, str]) -> None:
    listening, url = listener
    await client.create(FLUX + "+twice,refusal", webhook_completed=url)
    told = [await listening.take() for _ in range(2)]
    assert told[0][0]["webhook-id"] == told[1][0]["webhook-id"]
    assert [body["status"] for _, body in told] == ["failed", "failed"]
