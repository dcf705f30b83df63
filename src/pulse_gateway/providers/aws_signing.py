"""Amazon's ways of telling who calls: a bearer key, or a signature over the request (SigV4), for which botocore does the arithmetic.

Credentials are, in this order: the configured key, a Bedrock API key or `access key id:secret access key[:session token]`; without
one (and for S3, which a Bedrock API key does not open) botocore's own chain: environment, shared files, single sign-on, the roles of containers and machines. The chain reads files and
asks servers, so it runs in a thread, and again shortly before what it found expires.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html and
https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html (read 2026-11-24)
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

import msgspec

from pulse_gateway.errors import UpstreamUnauthorized
from pulse_gateway.providers.single_flight import SingleFlight
from pulse_gateway.types.http import Headers, HttpRequest

__all__ = ["AwsSigner"]

_KEY_PAIR = re.compile(r"([A-Za-z0-9_]{4,128}):([^:\s]+)(?::(\S+))?")
_SIGNED = ("content-type", "x-amz-")  # what else is sent may be changed on the way by a proxy, such as trace headers
_S3 = "s3"
_IN_PLACE_BYTES = 256 * 1024  # a longer body is hashed in a thread


class AwsSigner:
    """Signs requests to one service. What the chain found is kept, for all deployments."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._loaded = False
        self._found: Any = None  # botocore's credentials
        self._searches: SingleFlight[Any] = SingleFlight()

    async def sign(self, request: HttpRequest, key: str | None, region: str, *, service: str = "") -> HttpRequest:
        """`request` with the headers that prove who calls. `service` is another one than that of all others.

        Raises: UpstreamUnauthorized when there are no credentials.
        """
        pair = None if key is None else _KEY_PAIR.fullmatch(key)
        if key is not None and pair is None and service != _S3:
            return _with(request, (("authorization", f"Bearer {key}"),))
        if not self._loaded:
            await asyncio.to_thread(_load)
            self._loaded = True
        credentials = await self._from_chain() if pair is None else _static(pair)
        if len(request.body) > _IN_PLACE_BYTES:
            return await asyncio.to_thread(self._signed, request, credentials, region, service)
        return self._signed(request, credentials, region, service)

    def _signed(self, request: HttpRequest, credentials: Any, region: str, service: str) -> HttpRequest:
        from botocore.auth import S3SigV4Auth, SigV4Auth
        from botocore.awsrequest import AWSRequest

        named = {name: value for name, value in request.headers if name.startswith(_SIGNED)}
        signed = AWSRequest(request.method, request.url, data=request.body, headers=named)
        method = S3SigV4Auth if service == _S3 else SigV4Auth  # S3's own encodes no path twice
        method(credentials, service or self._service, region).add_auth(signed)
        return _with(request, tuple((name.lower(), value) for name, value in signed.headers.items()))

    async def _from_chain(self) -> Any:
        found = self._found
        if found is None or _needs_refresh(found):
            return await self._searches.run("chain", lambda: asyncio.to_thread(self._search))
        return found.get_frozen_credentials()

    def _search(self) -> Any:
        """In a thread. Raises: UpstreamUnauthorized."""
        from botocore.exceptions import BotoCoreError
        from botocore.session import Session

        try:
            if self._found is None:
                self._found = Session().get_credentials()
            if self._found is None:
                raise UpstreamUnauthorized("the gateway has no AWS credentials")
            return self._found.get_frozen_credentials()
        except BotoCoreError as error:  # its text may hold names of files and profiles
            raise UpstreamUnauthorized(
                f"the gateway's AWS credentials cannot be had: {type(error).__name__}"
            ) from error


def _load() -> None:
    """In a thread: importing it takes a tenth of a second."""
    import botocore.auth
    import botocore.session  # noqa: F401 -- so that they are there when a request is signed

    logging.getLogger("botocore").setLevel(logging.INFO)  # below that it writes tokens and signatures to the log


def _static(pair: re.Match[str]) -> Any:
    from botocore.credentials import ReadOnlyCredentials

    return ReadOnlyCredentials(*pair.groups())


def _needs_refresh(found: Any) -> bool:
    """Credentials that never expire do not know the question."""
    ask = getattr(found, "refresh_needed", None)
    return ask is not None and bool(ask())


def _with(request: HttpRequest, headers: Headers) -> HttpRequest:
    return msgspec.structs.replace(request, headers=tuple(dict((*request.headers, *headers)).items()))
