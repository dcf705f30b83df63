"""Google's ways of telling who calls: an API key, or an access token that lasts an hour and is fetched.

What is configured as the key decides: the JSON of a service account (a token for a signed assertion), the JSON that `gcloud auth
application-default login` writes (a token for its refresh token), an access token itself, an API key. Without a key the metadata
server of the machine is asked, as on Google's own.

Source: RFC 7523; https://developers.google.com/identity/protocols/oauth2/service-account and
https://cloud.google.com/compute/docs/access/authenticate-workloads (read 2026-11-24)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import msgspec

from pulse_gateway.errors import Advice, UpstreamError, UpstreamFailed, UpstreamProtocolError, UpstreamUnauthorized
from pulse_gateway.providers.provider import SendWhole
from pulse_gateway.providers.single_flight import SingleFlight
from pulse_gateway.types.http import Headers, HttpAnswer, HttpRequest

__all__ = ["GoogleCredentials", "StaleToken", "key_of_account"]

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 -- an address
_METADATA_URL = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token"
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_TOKENS_BEGIN = ("ya29.", "eyJ")  # an access token of Google's, a JWT; API keys begin with AIza or AQ.
_ASSERTION_S = 3600
_EARLY_S = 120.0  # before a token expires, when it is fetched anew
_LATE_S = 10.0  # before it expires, when it is no longer used although no other can be had
_YOUNG_S = 30.0  # a token refused that soon after it was fetched is not refused for its age
_KEPT = 64  # tokens


class StaleToken(UpstreamUnauthorized):
    """A token that was kept is no longer taken. It is dropped, and the next attempt fetches another."""

    advice = Advice.RETRY


class AccountKey(msgspec.Struct, frozen=True, tag_field="type", kw_only=True):
    """What is in a file of credentials; the secret in it stays out of `repr`."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class ServiceAccountKey(AccountKey, frozen=True, tag="service_account", kw_only=True):
    client_email: str
    private_key: str
    private_key_id: str | None = None
    project_id: str | None = None
    token_uri: str = _TOKEN_URL


class UserKey(AccountKey, frozen=True, tag="authorized_user", kw_only=True):
    client_id: str
    client_secret: str
    refresh_token: str
    quota_project_id: str | None = None


class _Token(msgspec.Struct, frozen=True):
    headers: Headers
    fetched: float  # seconds, as `expires`
    expires: float

    def __repr__(self) -> str:
        return f"_Token(expires={self.expires})"


class _TokenAnswer(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float = 3600.0

    def __repr__(self) -> str:
        return "_TokenAnswer()"


class _Refusal(msgspec.Struct, frozen=True):
    error: str = ""


_decode_key: Callable[[bytes], ServiceAccountKey | UserKey] = msgspec.json.Decoder(ServiceAccountKey | UserKey).decode
_decode_token = msgspec.json.Decoder(_TokenAnswer).decode
_decode_refusal = msgspec.json.Decoder(_Refusal).decode


def key_of_account(key: str | None) -> ServiceAccountKey | UserKey | None:
    """`key` as a file of credentials; None: it is none.

    Raises: UpstreamUnauthorized for one of another kind, or with parts missing. It repeats nothing of it.
    """
    if key is None or not key.lstrip().startswith("{"):
        return None
    try:
        return _decode_key(key.encode())
    except (ValueError, RecursionError) as error:
        raise UpstreamUnauthorized(
            "the gateway's Google credentials are neither of a service account nor of a user"
        ) from error


class GoogleCredentials:
    """Tokens by key, each fetched once however many calls wait for it. `now` counts seconds."""

    def __init__(self, now: Callable[[], float] = time.time, metadata_url: str = _METADATA_URL) -> None:
        self._now, self._metadata_url = now, metadata_url
        self._tokens: dict[str | None, _Token] = {}
        self._fetches: SingleFlight[_Token] = SingleFlight()

    async def headers(self, key: str | None, send: SendWhole) -> Headers:
        """The header that proves who calls.

        Raises: UpstreamUnauthorized when the credentials are refused, and what `send` raises.
        """
        if key is not None and not key.lstrip().startswith("{"):
            if key.startswith(_TOKENS_BEGIN):
                return (("authorization", f"Bearer {key}"),)
            return (("x-goog-api-key", key),)
        token = self._tokens.get(key)
        left_s = 0.0 if token is None else token.expires - self._now()
        if token is None or left_s < _EARLY_S:
            try:
                token = await self._fetches.run(key, lambda: self._fetch(key, send))
            except UpstreamError:
                if token is None or left_s < _LATE_S:
                    raise
        return token.headers

    def forget(self) -> bool:
        """Drop the tokens that may be too old, after one was refused; whether there was any."""
        now = self._now()
        old = [key for key, token in self._tokens.items() if now - token.fetched >= _YOUNG_S]
        for key in old:
            del self._tokens[key]
        return bool(old)

    async def _fetch(self, key: str | None, send: SendWhole) -> _Token:
        account = key_of_account(key)
        now = self._now()
        if account is None:
            request = HttpRequest("GET", self._metadata_url, (("metadata-flavor", "Google"),))
        elif isinstance(account, ServiceAccountKey):
            assertion = await asyncio.to_thread(_assertion, account, int(now))
            request = _form(account.token_uri, grant_type=_JWT_BEARER, assertion=assertion)
        else:
            request = _form(
                _TOKEN_URL,
                grant_type="refresh_token",
                client_id=account.client_id,
                client_secret=account.client_secret,
                refresh_token=account.refresh_token,
            )
        answer = await send(request)
        if answer.status != 200:
            raise _refused(answer)
        try:
            got = _decode_token(answer.body)
        except (ValueError, RecursionError) as error:
            raise UpstreamProtocolError("Google's token server answered with something else") from error
        headers: Headers = (("authorization", f"Bearer {got.access_token}"),)
        if isinstance(account, UserKey) and account.quota_project_id:
            headers += (("x-goog-user-project", account.quota_project_id),)
        token = _Token(headers, now, now + got.expires_in)
        self._tokens.pop(key, None)
        while len(self._tokens) >= _KEPT:
            del self._tokens[next(iter(self._tokens))]
        self._tokens[key] = token
        return token


def _assertion(account: ServiceAccountKey, now: int) -> str:
    """In a thread: importing what signs takes a tenth of a second, once.

    Raises: UpstreamUnauthorized when there is no private key in the account's.
    """
    import jwt

    claims: dict[str, Any] = {
        "iss": account.client_email,
        "scope": _SCOPE,
        "aud": account.token_uri,
        "iat": now,
        "exp": now + _ASSERTION_S,
    }
    headers = {} if account.private_key_id is None else {"kid": account.private_key_id}
    try:
        return jwt.encode(claims, account.private_key, algorithm="RS256", headers=headers)
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise UpstreamUnauthorized("the private key of the gateway's Google service account cannot be used") from error


def _form(url: str, **fields: str) -> HttpRequest:
    headers = (("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json"))
    return HttpRequest("POST", url, headers, urlencode(fields).encode())


def _refused(answer: HttpAnswer) -> UpstreamError:
    if answer.status >= 500 or answer.status == 429:
        return UpstreamFailed("Google's token server failed to answer", upstream_status=answer.status)
    try:
        reason = _decode_refusal(answer.body).error
    except (ValueError, RecursionError):
        reason = ""
    return UpstreamUnauthorized(
        "Google refused the gateway's credentials", upstream_status=answer.status, upstream_code=reason[:100] or None
    )
