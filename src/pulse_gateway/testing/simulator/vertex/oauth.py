"""Access tokens: for service accounts, for people who logged in, and from the metadata server.

Source: RFC 7523, https://developers.google.com/identity/protocols/oauth2/service-account and
https://cloud.google.com/compute/docs/metadata (read 2026-11-24)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta

from pulse_gateway.testing.simulator.dice import decode_base64, identifier
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.vendor import Frame, Refusal, Request

__all__ = ["FIXED_TOKEN", "Tokens"]

FIXED_TOKEN = "ya29.test"  # noqa: S105 - good for ever, for clients that bring a token of their own
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_AUDIENCE = "https://oauth2.googleapis.com/token"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_LIFETIME_S = 3599
_LONGEST_S = 3600
_SKEW_S = 300
_SIGNATURE_BYTES = 256  # of RS256 with the 2048-bit keys that Google hands out


class _Header(msgspec.Struct):
    alg: str
    typ: str = "JWT"


class _Claims(msgspec.Struct):
    """What an assertion must state; others are allowed."""

    iss: Annotated[str, Meta(pattern=r"^[^@\s]+@[^@\s]+$")]
    aud: str
    iat: int
    exp: int
    scope: Annotated[str, Meta(min_length=1)]


class Tokens:
    """Hands out tokens and knows which of them are still good. `now` gives seconds since the epoch."""

    def __init__(self, seed: int, accepted: frozenset[str], now: Callable[[], float] = time.time) -> None:
        self._seed = seed
        self._accepted = accepted
        self._now = now
        self._expiry_s: dict[str, float] = {}
        self._issued = 0

    def is_good(self, token: str) -> bool:
        return token == FIXED_TOKEN or token in self._accepted or self._expiry_s.get(token, 0.0) > self._now()

    def metadata(self, request: Request) -> Work:
        """Raises: Refusal."""
        if request.headers.get("metadata-flavor") != "Google":
            raise Refusal(403, {"error": "forbidden", "error_description": "Missing Metadata-Flavor:Google header."})
        return self._issue(request)

    def exchange(self, request: Request) -> Work:
        """`POST /token`; `?expires_in=` steers how long the token is good, `?x-simulate=` is a fault spec.

        Raises: Refusal.
        """
        if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
            raise _refuse("invalid_request", "The request body must be application/x-www-form-urlencoded.")
        form = dict(parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True))
        match form.get("grant_type"):
            case None:
                raise _refuse("invalid_request", "Required parameter is missing: grant_type")
            case "refresh_token":
                for name in ("client_id", "client_secret", "refresh_token"):
                    if not form.get(name):
                        raise _refuse("invalid_request", f"Could not determine {name} from request.")
            case grant if grant == _GRANT:
                self._check(form.get("assertion", ""), request.headers.get("host", ""))
            case grant:
                raise _refuse("unsupported_grant_type", f"Invalid grant_type: {grant}")
        return self._issue(request)

    def _check(self, assertion: str, host: str) -> None:
        parts = [decode_base64(part, url_safe=True) for part in assertion.split(".")]
        if len(parts) != 3 or None in parts:
            raise _refuse("invalid_grant", "Invalid JWT: must be a header, claims and a signature.")
        header, claims_text, signature = (part or b"" for part in parts)
        try:
            algorithm = msgspec.json.decode(header, type=_Header).alg
            claims = msgspec.json.decode(claims_text, type=_Claims)
        except msgspec.DecodeError as error:
            raise _refuse("invalid_grant", f"Invalid JWT: {error}") from error
        if algorithm != "RS256" or len(signature) < _SIGNATURE_BYTES:
            raise _refuse("invalid_grant", "Invalid JWT Signature.")
        if claims.aud not in {_AUDIENCE, f"http://{host}/token", f"https://{host}/token"}:
            raise _refuse("invalid_grant", "Invalid JWT: Failed audience check.")
        now = self._now()
        if not now - _SKEW_S < claims.exp <= claims.iat + _LONGEST_S or claims.iat > now + _SKEW_S:
            raise _refuse(
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat "
                "and exp values in the JWT claim.",
            )
        if _SCOPE not in claims.scope.split():
            raise _refuse("invalid_scope", f"Invalid OAuth scope or ID token audience provided: {claims.scope}")

    def _issue(self, request: Request) -> Work:
        wanted = request.query.get("expires_in", "")
        lifetime_s = int(wanted) if wanted.isascii() and wanted.isdigit() else _LIFETIME_S
        self._issued += 1
        token = identifier("ya29.", f"{self._seed} token {self._issued}".encode(), length=40)
        self._expiry_s[token] = self._now() + lifetime_s
        body = msgspec.json.encode({"access_token": token, "expires_in": lifetime_s, "token_type": "Bearer"})

        def render(_: Faults) -> list[Frame]:
            return [Frame(body)]

        return Work(
            model="",
            fault_spec=request.query.get("x-simulate", ""),
            content_type="application/json; charset=utf-8",
            headers=(("metadata-flavor", "Google"),) if request.method == "GET" else (),
            render=render,
        )


def _refuse(error: str, description: str) -> Refusal:
    return Refusal(400, {"error": error, "error_description": description})
