"""Whether a request is the one that a fixture says."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import msgspec

from pulse_gateway.types.http import HttpRequest, Payload
from pulse_gateway.wire.multipart import parse_form

__all__ = ["check_request"]


def check_request(made: HttpRequest, expected: dict[str, Any]) -> None:
    """Method, address, body; of the headers those that are named, `null` for one that must not be there."""
    assert f"{made.method} {made.url}" == f"{expected.get('method', 'POST')} {expected['url']}"
    headers = dict(made.headers)
    named = expected.get("headers", {})
    assert {name: headers.get(name) for name in named} == named
    if "form" in expected:
        assert _parts(Payload(made.body, headers["content-type"])) == [_wanted(part) for part in expected["form"]]
    elif "body" in expected:
        assert headers["content-type"] == "application/json"
        assert msgspec.json.decode(made.body) == expected["body"]
    else:
        assert not made.body


def _parts(form: Payload) -> list[tuple[str, str | None, bytes]]:
    return [(part.name, part.filename, bytes(part.data)) for part in parse_form(form)]


def _wanted(part: dict[str, Any]) -> tuple[str, str | None, bytes]:
    return part["name"], part.get("filename"), b64decode(part["base64"]) if "base64" in part else part["text"].encode()
