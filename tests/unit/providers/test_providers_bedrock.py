"""How Bedrock is called and how calls are signed: against AWS's own client, and against the arithmetic of the specification."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any
from urllib.parse import quote, urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config

from pulse_gateway.errors import UpstreamRateLimited, UpstreamUnauthorized
from pulse_gateway.providers.aws_signing import AwsSigner
from pulse_gateway.providers.bedrock import BEDROCK, BedrockProvider, region_of
from pulse_gateway.providers.provider import UpstreamCall
from pulse_gateway.providers.registry import provider
from pulse_gateway.types.catalog import Deployment, Model
from pulse_gateway.types.http import HttpAnswer, HttpRequest, header

ADDRESS = "https://bedrock-runtime.eu-west-1.amazonaws.com"
PAIR = "AKIDEXAMPLEEXAMPLE01:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NAMES = [
    "anthropic.claude-3-7-v1:0",
    "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-x-v1:0",
]


def deployment(name: str = NAMES[0], base_url: str = ADDRESS, **more: Any) -> Deployment:
    return Deployment(
        provider="bedrock", kind="bedrock", model=Model(provider="bedrock", name=name), base_url=base_url, **more
    )


def build(target: Deployment, *, stream: bool = False, body: bytes = b"{}") -> HttpRequest:
    traced = (("traceparent", "00-1-2-3"), ("x-request-id", "r"))
    return BEDROCK.build(UpstreamCall(deployment=target, body=body, stream=stream, trace_headers=traced))


async def nothing(request: HttpRequest) -> HttpAnswer:
    raise AssertionError("nothing is sent for a signature")


async def signed(target: Deployment, **more: Any) -> HttpRequest:
    return await BEDROCK.authorize(build(target, **more), target, nothing)


def from_aws(name: str, *, stream: bool) -> AWSPreparedRequest:
    """What AWS's own client would send."""
    kept: list[AWSPreparedRequest] = []

    class Sent(Exception):
        pass

    def keep(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        kept.append(request)
        raise Sent

    client = boto3.client(
        "bedrock-runtime",
        region_name="eu-west-1",
        aws_access_key_id=PAIR.split(":", maxsplit=1)[0],
        aws_secret_access_key=PAIR.split(":")[1],
        config=Config(retries={"total_max_attempts": 1}),
    )
    client.meta.events.register("before-send.bedrock-runtime", keep)
    method = client.converse_stream if stream else client.converse
    with pytest.raises(Sent):
        method(modelId=name, messages=[{"role": "user", "content": [{"text": "hi"}]}])
    return kept[0]


def signature(request: HttpRequest, secret: str, amz_date: str, names: list[str]) -> str:
    """Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html"""
    parts = urlsplit(request.url)
    values = {"host": parts.netloc, **dict(request.headers)}
    canonical = "\n".join(
        [
            request.method,
            quote(parts.path, safe="/-_.~"),
            parts.query,
            *(f"{name}:{values[name]}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(request.body).hexdigest(),
        ]
    )
    scope = f"{amz_date[:8]}/eu-west-1/bedrock/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{amz_date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("stream", [False, True])
async def test_it_is_called_and_signed_as_awss_own_client_would(name: str, stream: bool) -> None:
    theirs, ours = from_aws(name, stream=stream), await signed(deployment(name, key=PAIR), stream=stream)
    assert (ours.method, ours.url) == (theirs.method, theirs.url)
    told, wanted = header(ours.headers, "authorization") or "", theirs.headers["Authorization"].decode()
    # `Credential=…/{date}/{region}/{service}/aws4_request`, whatever second it is
    assert told.split(",")[0].split("/")[2:] == wanted.split(",")[0].split("/")[2:]
    assert told.split()[0] == wanted.split()[0] == "AWS4-HMAC-SHA256"


@pytest.mark.parametrize("body", [b"{}", b"x" * 300_000])
async def test_the_signature_is_that_of_the_specification(body: bytes) -> None:
    request = await signed(deployment(key=f"{PAIR}:session"), body=body)
    told = header(request.headers, "authorization") or ""
    names = told.split("SignedHeaders=")[1].split(",")[0].split(";")
    assert {"host", "content-type", "x-amz-date", "x-amz-security-token"} <= set(names)
    assert "traceparent" not in names and "x-request-id" not in names  # they may be changed on the way
    date = header(request.headers, "x-amz-date") or ""
    assert told.endswith(f"Signature={signature(request, PAIR.split(':')[1], date, names)}")
    assert header(request.headers, "x-amz-security-token") == "session"


async def test_an_api_key_is_a_bearer_token() -> None:
    request = await signed(deployment(key="ABSKQmVkcm9ja0FQSUtleS1h+/="))
    assert header(request.headers, "authorization") == "Bearer ABSKQmVkcm9ja0FQSUtleS1h+/="
    assert header(request.headers, "x-amz-date") is None


async def test_without_a_key_the_chain_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDFROMENVIRONMENT1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    vendor, target = BedrockProvider(), deployment()
    first = await vendor.authorize(build(target), target, nothing)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDOFSOMEONEELSE001")
    second = await vendor.authorize(build(target), target, nothing)
    for request in (first, second):
        assert "Credential=AKIDFROMENVIRONMENT1/" in (header(request.headers, "authorization") or "")


async def test_credentials_that_cannot_be_had_are_ours_and_name_no_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    request = HttpRequest("GET", ADDRESS, ())
    with pytest.raises(UpstreamUnauthorized, match="no AWS credentials"):
        await AwsSigner("bedrock").sign(request, None, "eu-west-1")
    monkeypatch.setenv("AWS_PROFILE", "secret-profile")
    with pytest.raises(UpstreamUnauthorized) as caught:
        await AwsSigner("bedrock").sign(request, None, "eu-west-1")
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("base_url", "region"),
    [
        (ADDRESS, "eu-west-1"),
        ("https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("https://vpce-0a1.bedrock-runtime.us-east-1.vpce.amazonaws.com", "us-east-1"),
        ("http://127.0.0.1:9100?region=ap-south-1", "ap-south-1"),
    ],
)
def test_the_address_tells_the_region(base_url: str, region: str) -> None:
    assert region_of(base_url) == region
    assert "region" not in build(deployment(base_url=base_url)).url


def test_an_address_without_a_region_cannot_be_signed_for() -> None:
    with pytest.raises(UpstreamUnauthorized, match=r"\?region="):
        region_of("http://127.0.0.1:9100")


def test_it_is_the_provider_of_its_kind() -> None:
    assert provider("bedrock") is BEDROCK
    assert BEDROCK.probe(ADDRESS, "k", ()).url == f"{ADDRESS}/async-invoke?maxResults=1"
    assert type(BEDROCK.error(429, (("x-amzn-errortype", "ThrottlingException"),), b"{}")) is UpstreamRateLimited
    assert PAIR not in repr(deployment(key=PAIR))
