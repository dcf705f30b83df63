"""Whether a vendor's call is really the vendor's: the signature of Standard Webhooks, which Replicate and OpenAI use. Pure.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md and
https://replicate.com/docs/topics/webhooks/verify-webhook (read 2026-11-24)
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from pulse_gateway.errors import Unauthenticated
from pulse_gateway.types.http import Headers, header

__all__ = ["key_of", "require_signature"]

_TOLERANCE_S = 300.0
_SHORTEST_KEY_BYTES = 16  # the specification has 24 at least; with none at all anybody could sign
_PREFIX = "whsec_"
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


def key_of(secret: str) -> bytes:
    """The key that a secret stands for, `whsec_…` as the vendor shows it. Raises: ValueError for a secret that is none."""
    key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    if len(key) < _SHORTEST_KEY_BYTES:
        raise ValueError("the secret of a webhook is too short to be one")
    return key


def require_signature(secret: str, headers: Headers, body: bytes, now: float) -> None:
    """`secret` as the vendor shows it, `whsec_…`; `now` in seconds since the epoch.

    Raises: Unauthenticated for a signature that is missing, wrong, or more than five minutes old or ahead. ValueError for a secret
    that is none.
    """
    key = key_of(secret)
    message_id, sent_at, signatures = (header(headers, f"webhook-{name}") for name in ("id", "timestamp", "signature"))
    if not message_id or not sent_at or not signatures or not _TIMESTAMP.fullmatch(sent_at):
        raise Unauthenticated(
            "the call is not signed: webhook-id, webhook-timestamp and webhook-signature are expected"
        )
    if abs(now - int(sent_at)) > _TOLERANCE_S:
        raise Unauthenticated("the call's signature is too old, or from the future")
    signed = b".".join((message_id.encode("utf-8", "replace"), sent_at.encode(), body))
    ours = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    known = [each.partition(",") for each in signatures.split(" ")]
    if not any(version == "v1" and hmac.compare_digest(ours, theirs.encode()) for version, _, theirs in known):
        raise Unauthenticated("the call's signature is not the provider's")
