"""Whether a call is the provider's: signatures of Standard Webhooks."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pulse_gateway import Config, Gateway
from pulse_gateway.config import ProviderConfig
from pulse_gateway.errors import ConfigError, Unauthenticated, UpstreamError
from pulse_gateway.providers.webhook import require_signature
from pulse_gateway.testing import FakeClock
from pulse_gateway.types.http import Headers, HttpRequest

KEY = b"twenty-four bytes of key"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
NOW = 1_795_000_000.0
BODY = b'{"id":"p1"}'


def signature(body: bytes = BODY, at: float = NOW, message_id: str = "msg_1", key: bytes = KEY) -> str:
    signed = f"{message_id}.{int(at)}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def headers(signed: str, at: float = NOW, message_id: str = "msg_1") -> Headers:
    return (("webhook-id", message_id), ("webhook-timestamp", str(int(at))), ("webhook-signature", signed))


def test_a_signature_that_fits_is_taken_also_as_one_of_several() -> None:
    require_signature(SECRET, headers(signature()), BODY, NOW)
    require_signature(SECRET, headers(f"v1,bm90IHRoaXM= {signature()} v2,x"), BODY, NOW)
    require_signature(SECRET, headers(signature(at=NOW - 299), NOW - 299), BODY, NOW)


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (headers(signature()), BODY + b" "),
        (headers(signature(key=b"another")), BODY),
        (headers(signature(), message_id="msg_2"), BODY),
        (headers(signature(), NOW - 1), BODY),
        (headers(signature(at=NOW - 301), NOW - 301), BODY),
        (headers(signature(at=NOW + 301), NOW + 301), BODY),
        (headers(signature().replace("v1,", "v2,")), BODY),
        (headers("v1,"), BODY),
        (headers("توقيع"), BODY),
        (headers(signature())[1:], BODY),
        ((*headers(signature())[:1], ("webhook-timestamp", "soon"), *headers(signature())[2:]), BODY),
        ((), BODY),
    ],
    ids=[
        "another body", "another key", "another id", "another time", "old", "from the future", "another version", "empty",
        "no ASCII", "no id", "no time", "nothing",
    ],
)  # fmt: skip
def test_every_other_one_is_refused(sent: Headers, body: bytes) -> None:
    with pytest.raises(Unauthenticated):
        require_signature(SECRET, sent, body, NOW)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_no base64"])
def test_a_secret_that_is_none_lets_nobody_in(secret: str) -> None:
    """With an empty key anybody could sign."""
    with pytest.raises(ValueError):
        require_signature(secret, headers(signature(key=b"")), BODY, NOW)
    with pytest.raises(ConfigError, match="webhook_secret"):
        Gateway(Config(providers={"replicate": ProviderConfig(key="r8_x", webhook_secret=secret)}))


class Silent:
    """A vendor that says the same to everything. A `Transport`, and its only answer."""

    def __init__(self, body: bytes, status: int) -> None:
        self.asked, self.body, self.status = 0, body, status
        self.headers: Headers = (("content-type", "application/json"),)

    async def send(self, request: HttpRequest, *_: Any, **__: Any) -> Silent:
        self.asked += 1
        return self

    def read_now(self) -> bytes | None:
        return None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.body

    async def aclose(self) -> None: ...


@pytest.mark.parametrize(
    ("told", "status"), [(b'{"key":""}', 200), (b'{"key":"whsec_"}', 200), (b"[]", 200), (b"{}", 404)]
)
async def test_a_vendor_that_does_not_tell_its_secret_is_not_asked_for_every_call_of_a_stranger(
    told: bytes, status: int
) -> None:
    vendor, clock = Silent(told, status), FakeClock(NOW)
    config = Config(providers={"replicate": ProviderConfig(key="r8_x")})
    async with Gateway(config, transport=vendor, clock=clock, observers=()) as gateway:
        calls = [gateway.webhooks.receive("replicate", headers(signature(key=b"")), BODY) for _ in range(5)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(each, UpstreamError) for each in outcomes), outcomes
        with pytest.raises(UpstreamError):
            await gateway.webhooks.receive("replicate", headers(signature(key=b"")), BODY)
        assert vendor.asked == 1
        clock.advance(11.0)
        with pytest.raises(UpstreamError):
            await gateway.webhooks.receive("replicate", headers(signature(key=b"")), BODY)
        assert vendor.asked == 2
