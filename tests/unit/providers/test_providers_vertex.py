"""How Vertex is called, and how its tokens are had: signed for, fetched once, kept, and dropped when they are refused."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pulse_gateway.errors import Advice, UpstreamError, UpstreamFailed, UpstreamProtocolError, UpstreamUnauthorized
from pulse_gateway.providers.google_credentials import GoogleCredentials
from pulse_gateway.providers.provider import UpstreamCall
from pulse_gateway.providers.registry import provider
from pulse_gateway.providers.vertex import VERTEX, VertexProvider
from pulse_gateway.types.catalog import Deployment, Model
from pulse_gateway.types.http import HttpAnswer, HttpRequest, header

PROJECT = "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4"


@pytest.fixture(scope="module")
def private_key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def account(private_key: RSAPrivateKey) -> str:
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "from-the-key",
            "private_key_id": "kid1",
            "private_key": pem,
            "client_email": "gateway@p.iam.gserviceaccount.com",
            "token_uri": "https://oauth2.example/token",
            "universe_domain": "googleapis.com",
        },
        indent=2,
    )


class TokenServer:
    """Answers with `access-1`, `access-2` …, or with what it is told."""

    def __init__(self) -> None:
        self.requests: list[HttpRequest] = []
        self.answers: list[HttpAnswer] = []
        self.hold: asyncio.Event | None = None
        self.lasts_s = 3600

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        self.requests.append(request)
        number = len(self.requests)
        if self.hold is not None:
            await self.hold.wait()
        if self.answers:
            return self.answers.pop(0)
        return HttpAnswer(
            200, (), json.dumps({"access_token": f"access-{number}", "expires_in": self.lasts_s}).encode()
        )


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def deployment(name: str = "gemini-x", base_url: str = PROJECT, **more: Any) -> Deployment:
    return Deployment(
        provider="vertex", kind="vertex", model=Model(provider="vertex", name=name), base_url=base_url, **more
    )


def build(target: Deployment, *, stream: bool = False) -> HttpRequest:
    return VERTEX.build(UpstreamCall(deployment=target, body=b"{}", stream=stream))


async def token(credentials: GoogleCredentials, key: str | None, server: TokenServer) -> str:
    return dict(await credentials.headers(key, server))["authorization"]


@pytest.mark.parametrize(
    ("base_url", "key", "name", "url"),
    [
        (PROJECT, None, "gemini-x", f"{PROJECT}/publishers/google/models/gemini-x:generateContent"),
        ("https://aiplatform.googleapis.com", "AIzaX", "gemini-x", "https://aiplatform.googleapis.com/v1beta1/publishers/google/models/gemini-x:generateContent"),
        ("https://aiplatform.googleapis.com/v1/", "AIzaX", "g/x", "https://aiplatform.googleapis.com/v1/publishers/google/models/g%2Fx:generateContent"),
        (PROJECT, None, "endpoints/123", f"{PROJECT}/endpoints/123:generateContent"),
        (PROJECT, None, "publishers/meta/models/llama-4", f"{PROJECT}/publishers/meta/models/llama-4:generateContent"),
    ],
)  # fmt: skip
def test_project_location_model_and_method_are_in_the_path(base_url: str, key: str | None, name: str, url: str) -> None:
    assert build(deployment(name, base_url, key=key)).url == url


def test_a_service_account_brings_its_project_and_the_host_the_location(account: str) -> None:
    for host, location in (("aiplatform", "global"), ("us-east5-aiplatform", "us-east5")):
        target = deployment(base_url=f"https://{host}.googleapis.com", key=account)
        wanted = (
            f"https://{host}.googleapis.com/v1beta1/projects/from-the-key/locations/{location}/publishers/google/models"
        )
        assert build(target, stream=True).url == f"{wanted}/gemini-x:streamGenerateContent?alt=sse"


async def test_a_service_account_signs_an_assertion_and_gets_a_token(private_key: RSAPrivateKey, account: str) -> None:
    server, clock = TokenServer(), Clock()
    assert await token(GoogleCredentials(clock), account, server) == "Bearer access-1"
    (request,) = server.requests
    form = parse_qs(request.body.decode())
    assert (request.method, request.url) == ("POST", "https://oauth2.example/token")
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    (assertion,) = form["assertion"]
    claims = jwt.decode(
        assertion, private_key.public_key(), ["RS256"], audience="https://oauth2.example/token",
        options={"verify_exp": False, "verify_iat": False},
    )  # fmt: skip
    assert jwt.get_unverified_header(assertion)["kid"] == "kid1"
    assert claims["iss"] == "gateway@p.iam.gserviceaccount.com"
    assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
    assert claims["exp"] - claims["iat"] == 3600 and claims["iat"] == int(clock.now)


async def test_a_token_is_kept_until_shortly_before_it_expires(account: str) -> None:
    server, clock = TokenServer(), Clock()
    credentials = GoogleCredentials(clock)
    for after_s, wanted in ((0, 1), (3470, 1), (20, 2), (100, 2)):
        clock.now += after_s
        assert await token(credentials, account, server) == f"Bearer access-{wanted}"


async def test_a_token_that_still_holds_serves_while_no_other_can_be_had(account: str) -> None:
    server, clock = TokenServer(), Clock()
    credentials = GoogleCredentials(clock)
    await token(credentials, account, server)
    clock.now += 3500
    server.answers = [HttpAnswer(503, (), b""), HttpAnswer(503, (), b"")]
    assert await token(credentials, account, server) == "Bearer access-1"
    clock.now += 95
    with pytest.raises(UpstreamFailed):
        await token(credentials, account, server)


async def test_many_at_once_fetch_one_token_and_one_that_leaves_takes_nobody_along(account: str) -> None:
    server, credentials = TokenServer(), GoogleCredentials(Clock())
    server.hold = asyncio.Event()
    waiting = [asyncio.create_task(token(credentials, account, server)) for _ in range(20)]
    while not server.requests:
        await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.gather(waiting[0], return_exceptions=True)
    server.hold.set()
    assert set(await asyncio.gather(*waiting[1:])) == {"Bearer access-1"}
    assert len(server.requests) == 1


async def test_when_everybody_has_left_the_fetch_is_over_and_the_next_one_begins_another(account: str) -> None:
    server, credentials = TokenServer(), GoogleCredentials(Clock())
    server.hold = asyncio.Event()
    alone = asyncio.create_task(token(credentials, account, server))
    while not server.requests:
        await asyncio.sleep(0)
    alone.cancel()
    await asyncio.gather(alone, return_exceptions=True)
    server.hold = None
    assert await token(credentials, account, server) == "Bearer access-2"


async def test_a_refused_token_is_dropped_and_the_next_attempt_may_be_at_once(account: str) -> None:
    server, clock = TokenServer(), Clock()
    vendor = VertexProvider(GoogleCredentials(clock))
    target = deployment(key=account)
    body = b'{"error":{"code":401,"message":"x","status":"UNAUTHENTICATED"}}'
    await vendor.authorize(build(target), target, server)
    fresh = vendor.error(401, (), body)
    assert type(fresh) is UpstreamUnauthorized and fresh.advice is Advice.NEXT  # its age is not the reason
    clock.now += 60
    stale = vendor.error(401, (), body)
    assert isinstance(stale, UpstreamUnauthorized) and stale.advice is Advice.RETRY
    request = await vendor.authorize(build(target), target, server)
    assert header(request.headers, "authorization") == "Bearer access-2"
    assert vendor.error(403, (), body.replace(b"401", b"403")).advice is Advice.NEXT


async def test_other_credentials() -> None:
    server, credentials = TokenServer(), GoogleCredentials(Clock())
    assert await credentials.headers("AIzaSyX", server) == (("x-goog-api-key", "AIzaSyX"),)
    assert await credentials.headers("ya29.token", server) == (("authorization", "Bearer ya29.token"),)
    assert server.requests == []
    user = {
        "type": "authorized_user",
        "client_id": "c",
        "client_secret": "s",
        "refresh_token": "r",
        "quota_project_id": "q",
    }
    assert dict(await credentials.headers(json.dumps(user), server)) == {
        "authorization": "Bearer access-1",
        "x-goog-user-project": "q",
    }
    assert parse_qs(server.requests[0].body.decode())["grant_type"] == ["refresh_token"]
    assert await token(credentials, None, server) == "Bearer access-2"
    assert server.requests[1].url.startswith("http://metadata.google.internal/")
    assert header(server.requests[1].headers, "metadata-flavor") == "Google"


@pytest.mark.parametrize(
    ("key", "answer", "kind"),
    [
        ('{"type":"external_account"}', None, UpstreamUnauthorized),
        ('{"type":"service_account","client_email":"secret@x","private_key":"no key"}', None, UpstreamUnauthorized),
        ("{", None, UpstreamUnauthorized),
        (None, HttpAnswer(400, (), b'{"error":"invalid_grant","error_description":"secret"}'), UpstreamUnauthorized),
        (None, HttpAnswer(404, (), b"<html>"), UpstreamUnauthorized),
        (None, HttpAnswer(500, (), b""), UpstreamFailed),
        (None, HttpAnswer(200, (), b"<html>"), UpstreamProtocolError),
    ],
)
async def test_credentials_that_do_not_work_are_ours_and_stay_secret(
    key: str | None, answer: HttpAnswer | None, kind: type[UpstreamError]
) -> None:
    server = TokenServer()
    server.answers = [] if answer is None else [answer]
    with pytest.raises(kind) as caught:
        await GoogleCredentials(Clock()).headers(key, server)
    assert "secret" not in caught.value.message
    assert len(server.requests) == (answer is not None)


async def test_no_secret_is_in_what_is_printed(account: str) -> None:
    server, credentials = TokenServer(), GoogleCredentials(Clock())
    await token(credentials, account, server)
    assert "access-1" not in repr(vars(credentials)) and "PRIVATE" not in repr(deployment(key=account))


def test_it_is_the_provider_of_its_kind() -> None:
    assert provider("vertex") is VERTEX
    probe = VERTEX.probe(PROJECT, None, ())
    assert probe.url == "https://europe-west4-aiplatform.googleapis.com/v1beta1/publishers/google/models?pageSize=1"
