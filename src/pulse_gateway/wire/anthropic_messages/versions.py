"""The versions of Anthropic's API, which a client names in `anthropic-version`, and what each of them refuses.

| | `2023-06-01` | `2026-10-21` |
| --- | --- | --- |
| `temperature`, `top_p`, `top_k` | taken by older models | refused, whatever their value |
| a turn of the system among `messages` | refused | taken by newer models |
| a `document` in a turn of the assistant | taken | refused |
| `citations` on a text of the user | taken | refused |

They hold whoever answers: a client that has chosen a version is told the same by every model. One that names none has not chosen.

Source: https://platform.claude.com/docs/en/api/versioning (read 2026-11-24); anthropic 2.12.0, `MessageCreateParams`
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.http import Headers, header
from pulse_gateway.wire.foreign_json import from_client

__all__ = ["CURRENT", "PREVIOUS", "check_version", "version_for"]

CURRENT = "2026-10-21"
PREVIOUS = "2023-06-01"

_HEADER = "anthropic-version"
_SAMPLING = ("temperature", "top_p", "top_k")


class _Sampling(msgspec.Struct):
    temperature: Raw | UnsetType = UNSET
    top_p: Raw | UnsetType = UNSET
    top_k: Raw | UnsetType = UNSET


class _Block(msgspec.Struct):
    type: Any = None
    citations: Any = None


class _Turn(msgspec.Struct):
    role: Any = None
    content: list[_Block] | str = ""


class _Request(_Sampling):
    messages: list[_Turn] = []


_sampling = msgspec.json.Decoder(_Sampling).decode
_request = msgspec.json.Decoder(_Request).decode


def check_version(headers: Headers, body: bytes) -> None:
    """Refuse a version that there is not, and what the version that the client names does not have.

    `headers` are in lower case. Raises: InvalidRequest, `param` naming the path, or the header.
    """
    version = header(headers, _HEADER)
    if version is None:
        return
    if version not in (CURRENT, PREVIOUS):
        raise InvalidRequest(f"{_HEADER}: {version[:40]!r} is not a valid version for this API", param=_HEADER)
    request = from_client(_request, body)
    if version == CURRENT:
        _check_current(request)
    elif header(headers, "anthropic-beta") is None:
        _check_previous(request)


def version_for(body: bytes) -> str:
    """The newest version that takes the members of `body`, a request that the vendor itself might take."""
    given = _sampling(body)
    return CURRENT if all(getattr(given, name) is UNSET for name in _SAMPLING) else PREVIOUS


def _check_current(request: _Request) -> None:
    for name in _SAMPLING:
        if getattr(request, name) is not UNSET:
            raise InvalidRequest(f"{name}: Extra inputs are not permitted in version {CURRENT}", param=name)
    for place, turn in enumerate(request.messages):
        if isinstance(turn.content, str):
            continue
        for number, block in enumerate(turn.content):
            path = f"messages[{place}].content[{number}]"
            if turn.role == "assistant" and block.type == "document":
                raise InvalidRequest(f"{path}: a document may not stand in a turn of the assistant", param=path)
            if turn.role == "user" and block.type == "text" and block.citations:
                path = f"{path}.citations"
                raise InvalidRequest(f"{path}: may not stand on a text of the user", param=path)


def _check_previous(request: _Request) -> None:
    for place, turn in enumerate(request.messages):
        if turn.role == "system":
            path = f"messages[{place}].role"
            raise InvalidRequest(f"{path}: system messages among the others need version {CURRENT}", param=path)
