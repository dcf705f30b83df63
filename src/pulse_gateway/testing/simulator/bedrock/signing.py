"""Who is calling: a Bearer key, or a signature over the request that is worked out again here.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html (read 2026-11-24)
"""

from __future__ import annotations

import hmac
import re
from datetime import UTC, datetime
from hashlib import sha256
from typing import Literal
from urllib.parse import quote

from pulse_gateway.testing.simulator.bedrock.errors import refuse
from pulse_gateway.testing.simulator.config import Aws
from pulse_gateway.testing.simulator.vendor import Request

__all__ = ["check_caller"]

_SIGNED = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=([^/\s,]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request,\s*"
    r"SignedHeaders=([a-z0-9;-]+),\s*Signature=([0-9a-f]{64})"
)
_CLOCK_SKEW_S = 300
_UNSIGNED = "UNSIGNED-PAYLOAD"


def check_caller(
    request: Request, aws: Aws, keys: frozenset[str], now_s: float, expected: Literal["bedrock", "s3"] = "bedrock"
) -> None:
    """`expected` is the service that is called. Raises: Refusal that says what is wrong with the key or the signature."""
    given = request.headers.get("authorization", "")
    scheme, _, key = given.partition(" ")
    if not given:
        raise refuse(name="MissingAuthenticationTokenException")
    if scheme.lower() == "bearer":
        if not key or key == "wrong" or (keys and key not in keys):
            raise refuse("Authentication failed: Please make sure your API Key is valid.", name="AccessDeniedException")
        return
    found = _SIGNED.fullmatch(given.strip())
    if found is None:
        raise refuse(f"Authorization header cannot be read: {scheme}", name="IncompleteSignatureException")
    access_key, day, region, service, names, signature = found.groups()
    if access_key != aws.access_key_id:
        raise refuse(name="UnrecognizedClientException")
    if service != expected:
        raise refuse(f"Credential should be scoped to correct service: '{expected}'.", name="InvalidSignatureException")
    stamp = request.headers.get("x-amz-date", "")
    _check_date(stamp, day, now_s)
    if aws.session_token is not None and request.headers.get("x-amz-security-token") != aws.session_token:
        raise refuse(
            name="ExpiredTokenException" if "x-amz-security-token" in request.headers else "UnrecognizedClientException"
        )
    signed = names.split(";")
    if unsigned := [name for name in _must_be_signed(request) if name not in signed]:
        raise refuse(
            f"'{unsigned[0]}' must be a 'SignedHeader' in the AWS Authorization.", name="InvalidSignatureException"
        )
    scope = f"{day}/{region}/{service}/aws4_request"
    hashed = sha256(_canonical(request, signed, is_storage=service == "s3").encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashed}"
    secret = f"AWS4{aws.secret_access_key}".encode()
    for step in (day, region, service, "aws4_request"):
        secret = hmac.digest(secret, step.encode(), "sha256")
    if not hmac.compare_digest(hmac.digest(secret, text.encode(), "sha256").hex(), signature):
        raise refuse(name="InvalidSignatureException")


def _check_date(stamp: str, day: str, now_s: float) -> None:
    try:
        at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise refuse("x-amz-date must be like 20261124T000000Z", name="IncompleteSignatureException") from error
    if not stamp.startswith(day):
        raise refuse("Date in Credential scope does not match x-amz-date", name="InvalidSignatureException")
    if abs(at.timestamp() - now_s) > _CLOCK_SKEW_S:
        raise refuse(f"Signature expired: {stamp} is too far from the time here", name="InvalidSignatureException")


def _must_be_signed(request: Request) -> list[str]:
    """The host, the type, and whatever AWS itself named."""
    return ["host", *(name for name in request.headers if name.startswith("x-amz-") and name != "x-amz-content-sha256")]


def _canonical(request: Request, signed: list[str], *, is_storage: bool) -> str:
    """The canonical request. Path segments are encoded once more than they came, but for S3."""
    query = "&".join(
        sorted(f"{quote(key, safe='-_.~')}={quote(value, safe='-_.~')}" for key, value in request.query.items())
    )
    headers = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in signed)
    payload = request.headers.get("x-amz-content-sha256") or sha256(request.body).hexdigest()
    if payload not in {_UNSIGNED, sha256(request.body).hexdigest()}:
        raise refuse(
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
            name="InvalidSignatureException",
        )
    path = request.raw_path if is_storage else quote(request.raw_path, safe="/-_.~")
    return f"{request.method}\n{path}\n{query}\n{headers}\n{';'.join(signed)}\n{payload}"
