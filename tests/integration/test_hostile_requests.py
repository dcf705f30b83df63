"""Requests that no SDK makes, to the routes beside chat, through the whole application."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

import pytest
from vendor_stub import Vendor, VendorAnswer

from pulse_gateway import Config, Gateway
from pulse_gateway.config import ProviderConfig
from pulse_gateway.types.http import HttpRequest, Timeouts
from pulse_gateway.types.identity import Plan, Principal
from pulse_host.app import Services, create_app
from pulse_host.health import Readiness
from pulse_host.metrics import Metrics

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of how the application is described to Litestar

VECTOR = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [1.0]}], "model": "m"}
NUMBER = "0001" + "9" * 5000


class Keys:
    async def authenticate(self, secret: str) -> Principal:
        return Principal(user_id="alice", plan=Plan(name="free"), scopes=("admin",))


class House:
    def __init__(self, gateway: Gateway, vendor: Any) -> None:
        self.vendor = vendor
        self.leaves = asyncio.Event()  # the client
        self._app: Any = create_app(Services(gateway=gateway, keys=Keys(), readiness=Readiness({}), metrics=Metrics()))

    async def ask(
        self, method: str, address: str, body: bytes = b"", *headers: tuple[bytes, bytes]
    ) -> tuple[int, dict[str, str], Any]:
        path, _, query = address.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": unquote(path), "raw_path": path.encode(), "root_path": "", "query_string": query.encode(),
            "headers": [(b"host", b"x"), (b"authorization", b"Bearer k"), *headers],
            "client": ("127.0.0.1", 1), "server": ("x", 80), "extensions": {}, "state": {},
        }  # fmt: skip
        sent: list[Any] = []
        given = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            if given:
                return given.pop()
            await self.leaves.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        async with asyncio.timeout(10):
            await self._app(scope, receive, send)
        if not sent:
            return 0, {}, None
        told = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
        said = b"".join(message.get("body", b"") for message in sent[1:])
        is_json = told.get("content-type") == "application/json"
        return sent[0]["status"], told, json.loads(said) if said and is_json else said


@pytest.fixture
async def house() -> AsyncIterator[House]:
    vendor = Vendor(VECTOR)
    gateway = Gateway(Config(providers={"openai": ProviderConfig(key="k")}), transport=vendor, observers=())
    async with gateway:
        yield House(gateway, vendor)


@pytest.mark.parametrize("address", ["/v1/videos?limit=", "/v1/admin/models?limit=", "/v1beta/models?pageSize="])
async def test_a_number_is_not_judged_by_its_beginning(house: House, address: str) -> None:
    for number in (NUMBER, "0001000000", "0000000011000000", "-1", "1e1", "\u0661"):
        status, headers, body = await house.ask("GET", address + number)
        assert (status, headers.get("x-request-id", "")[:4]) == (400, "req_"), (number, body)
    assert (await house.ask("GET", address + "1"))[0] == 200


@pytest.mark.parametrize(
    "kind",
    [b"application/x-www-form-urlencoded", b"text/plain", "application/json; x=\u00e9".encode("latin-1"), b"\x7f"],
    ids=["urlencoded", "text", "not ascii", "not printable"],
)
async def test_a_vendor_is_told_that_json_is_json_whatever_the_client_calls_it(house: House, kind: bytes) -> None:
    """Read as a form, this body would name another model."""
    body = json.dumps({"model": "openai:text-embedding-3-small", "input": "&model=dear&input=x"}).encode()
    assert (await house.ask("POST", "/v1/embeddings", body, (b"content-type", kind)))[0] == 200
    assert dict(house.vendor.requests[0].headers)["content-type"] == "application/json"


async def test_a_forms_type_that_no_header_can_carry_is_refused(house: House) -> None:
    kind = "multipart/form-data; boundary=x; y=\u00e9".encode("latin-1")
    form = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nopenai:gpt-image-2\r\n--x--\r\n'
    status, _, body = await house.ask("POST", "/v1/images/edits", form, (b"content-type", kind))
    assert (status, body["error"]["param"]) == (400, "content-type")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/v1/videos", 405), ("POST", "/v1/videos/x", 405), ("HEAD", "/v1/videos/x/content", 405),
        ("GET", "/v1/videos/x/", 404), ("GET", "/v1/videos/%00", 404), ("GET", "/v1/videos/%0d%0aX-Y:1", 404),
        ("GET", "/v1/videos/x/other", 404), ("GET", "/v1/videos/..%2f..%2fmodels", 404),
        ("POST", "/v1/videos/", 400), ("GET", "/v1/images/generations", 405), ("POST", "/v1/images/generations/", 400),
        ("POST", "/v1/images", 404), ("POST", "/v1/images/other", 404), ("POST", "/v1/audio/transcriptions", 400),
        ("POST", "/v1/rerank", 400), ("POST", "/v1/moderations", 400), ("POST", "/v1/webhooks/%00", 404),
        ("GET", "/v1/webhooks/openai", 405), ("POST", "/v1/webhooks/openai", 404),
    ],
)  # fmt: skip
async def test_what_is_no_request_is_answered_as_such(house: House, method: str, path: str, status: int) -> None:
    answered, headers, body = await house.ask(method, path)
    assert answered == status
    assert headers["x-request-id"].startswith("req_") and (body.get("error") or body["message"])


# ── videos ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Films(Vendor):
    """Replicate, whose model makes a page. `held` keeps the page back."""

    def __init__(self) -> None:
        super().__init__(self._say)
        self.held: asyncio.Event | None = None
        self.asked = asyncio.Event()

    def _say(self, request: HttpRequest) -> Any:
        if "delivery" in request.url:
            return b"<script>alert(1)</script>"
        output = "https://x.replicate.delivery/film.html"
        return {"id": "p1", "status": "starting" if request.method == "POST" else "succeeded", "output": output}

    async def send(self, request: HttpRequest, timeouts: Timeouts, /, **more: Any) -> VendorAnswer:
        answer = await super().send(request, timeouts, **more)
        if "delivery" in request.url:
            answer.headers = (("content-type", "text/html"),)
            self.asked.set()
            if self.held is not None:
                await self.held.wait()
        return answer


@pytest.fixture
async def cinema() -> AsyncIterator[House]:
    films = Films()
    gateway = Gateway(Config(providers={"replicate": ProviderConfig(key="k")}), transport=films, observers=())
    async with gateway:
        yield House(gateway, films)


async def film(cinema: House) -> str:
    body = json.dumps({"model": "replicate:a/b", "prompt": "a cat", "size": "1280x720"}).encode()
    status, _, job = await cinema.ask("POST", "/v1/videos", body)
    assert status == 200, job
    assert (await cinema.ask("GET", f"/v1/videos/{job['id']}"))[2]["status"] == "completed"
    return f"/v1/videos/{job['id']}/content"


async def test_what_a_strangers_model_made_is_no_page_of_ours(cinema: House) -> None:
    status, headers, body = await cinema.ask("GET", await film(cinema))
    assert (status, body) == (200, b"<script>alert(1)</script>")
    assert headers["content-type"] == "application/octet-stream" and headers["x-content-type-options"] == "nosniff"


async def test_a_user_reads_a_few_videos_at_once_and_who_leaves_makes_room(cinema: House) -> None:
    path = await film(cinema)
    cinema.vendor.held = asyncio.Event()
    reading = [asyncio.create_task(cinema.ask("GET", path)) for _ in range(4)]
    await cinema.vendor.asked.wait()
    while len([each for each in cinema.vendor.requests if "delivery" in each.url]) < 4:
        await asyncio.sleep(0)
    status, headers, _ = await cinema.ask("GET", path)
    assert status == 429 and headers["retry-after"]
    cinema.leaves.set()  # although the vendor has not answered yet
    assert [each[0] for each in await asyncio.gather(*reading)] == [0] * 4
    cinema.leaves.clear()
    cinema.vendor.held.set()
    assert (await cinema.ask("GET", path))[0] == 200
