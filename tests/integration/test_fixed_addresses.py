"""Addresses that are looked up ahead of the router are answered as the router would have them answered."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from vendor_stub import Vendor

from pulse_gateway import Config, Gateway
from pulse_gateway.config import ProviderConfig
from pulse_gateway.types.identity import Plan, Principal
from pulse_host.app import Services, create_app
from pulse_host.health import Readiness
from pulse_host.metrics import Metrics

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of how the application is described to Litestar

VECTOR = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [1.0]}], "model": "m"}
BODY = json.dumps({"model": "openai:text-embedding-3-small", "input": "x"}).encode()


class Keys:
    defective = False

    async def authenticate(self, secret: str) -> Principal:
        if self.defective:
            raise RuntimeError(f"cannot make sense of {secret}")
        return Principal(user_id="alice", plan=Plan(name="free"))


Ask = Callable[..., Any]


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
async def ask(keys: Keys) -> AsyncIterator[Ask]:
    config = Config(providers={"openai": ProviderConfig(key="k")})
    async with Gateway(config, transport=Vendor(VECTOR), observers=()) as gateway:
        app: Any = create_app(Services(gateway=gateway, keys=keys, readiness=Readiness({}), metrics=Metrics()))

        async def asked(path: str, *, method: str = "POST", host: bytes = b"x") -> tuple[int, dict[str, str], Any]:
            scope = {
                "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
                "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"",
                "headers": [(b"host", host), (b"authorization", b"Bearer secret-of-a-caller")],
                "client": ("127.0.0.1", 1), "server": ("x", 80), "extensions": {}, "state": {},
            }  # fmt: skip
            sent: list[Any] = []

            async def receive() -> Any:
                return {"type": "http.request", "body": BODY, "more_body": False}

            async def send(message: Any) -> None:
                sent.append(message)

            await app(scope, receive, send)
            told = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
            return sent[0]["status"], told, json.loads(b"".join(message.get("body", b"") for message in sent[1:]))

        yield asked


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/embeddings/", "//v1/embeddings"])
async def test_an_address_may_be_written_in_several_ways(ask: Ask, path: str) -> None:
    status, _, body = await ask(path)
    assert (status, body["data"][0]["embedding"]) == (200, [1.0])


@pytest.mark.parametrize("host", [b"a b", b"x/../y", b"x?", b"x\\y"])
async def test_a_host_that_is_none_is_refused(ask: Ask, host: bytes) -> None:
    assert (await ask("/v1/embeddings", host=host))[0] == 400


@pytest.mark.parametrize("host", [b"", b"api.example.com:443", b"[::1]:8080", b"a_b~c"])
async def test_one_that_may_be_is_not(ask: Ask, host: bytes) -> None:
    assert (await ask("/v1/embeddings", host=host))[0] == 200


async def test_another_method_is_told_which_one_is_served(ask: Ask) -> None:
    status, headers, body = await ask("/v1/embeddings", method="GET")
    assert (status, headers["allow"], body["error"]["code"]) == (405, "POST", "method_not_allowed")


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/messages"])
async def test_a_defect_is_answered_in_the_dialect_of_the_address(ask: Ask, keys: Keys, path: str) -> None:
    keys.defective = True
    status, headers, body = await ask(path)
    assert (status, body["error"]["message"]) == (500, "the server failed; the request id helps to find out why")
    assert body.get("type") == ("error" if path == "/v1/messages" else None)
    assert headers["x-request-id"]
    assert "secret-of-a-caller" not in json.dumps(body)
