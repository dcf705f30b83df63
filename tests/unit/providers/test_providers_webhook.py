"""Whether a call is the provider's: signatures of Standard Webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from pulse_gateway.errors import Unauthenticated
from pulse_gateway.providers.webhook import require_signature
from pulse_gateway.types.http import Headers

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
