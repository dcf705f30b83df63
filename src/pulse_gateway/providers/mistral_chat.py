"""What Mistral's chat takes otherwise inside messages and tools. Pure.

Ids of tool calls are nine letters and digits: others, of a conversation that another vendor began, become such, each always the same
and no two alike. They stand in the history alone, so nobody ever has to read them back. Schemas may not say which standard or which
document they are of, which means nothing to a model.

Source: https://docs.mistral.ai/capabilities/function_calling and /api/endpoint/chat (read 2026-11-24)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import Raw

from pulse_gateway.wire.json_splice import set_members

__all__ = ["as_mistral_takes_it"]

_ID = re.compile(r"[A-Za-z0-9]{9}")
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LABELS = frozenset({"$schema", "$id"})
_NAMED = frozenset(
    {"properties", "patternProperties", "$defs", "definitions"}
)  # what stands in them has names, not keywords


class _Call(msgspec.Struct):
    id: str | None = None


class _Message(msgspec.Struct):
    tool_call_id: str | None = None
    tool_calls: list[Raw] | None = None


class _Request(msgspec.Struct):
    messages: list[Raw] = []
    tools: list[Raw] | None = None
    response_format: Raw = Raw()


class _Members(msgspec.Struct):
    function: Raw = Raw()
    json_schema: Raw = Raw()
    parameters: Raw = Raw()
    schema: Raw = Raw()


_request = msgspec.json.Decoder(_Request).decode
_message = msgspec.json.Decoder(_Message).decode
_call = msgspec.json.Decoder(_Call).decode
_members = msgspec.json.Decoder(_Members).decode


def as_mistral_takes_it(body: bytes) -> bytes:
    """`body`, which is looked into only if it may hold what has to change; a shape that it should not have is left to the vendor.

    Raises: InvalidRequest when a key occurs twice in what is changed.
    """
    try:
        if b'"tool_call' in body:
            body = _with_short_ids(body)
        if any(b'"%b"' % label.encode() in body for label in _LABELS):
            body = _with_plain_schemas(body)
    except msgspec.ValidationError:
        return body
    return body


def _with_short_ids(body: bytes) -> bytes:
    messages = [(raw, _message(raw)) for raw in _request(body).messages]
    short = _short([call_id for _, message in messages for call_id in _ids(message)])
    if not short:
        return body
    return set_members(body, messages=[_renamed(raw, message, short) for raw, message in messages])


def _ids(message: _Message) -> Iterator[str]:
    ids = (message.tool_call_id, *(_call(raw).id for raw in message.tool_calls or ()))
    return (call_id for call_id in ids if call_id is not None)


def _short(ids: list[str]) -> dict[str, str]:
    """Of those that are not short already."""
    taken = {call_id for call_id in ids if _ID.fullmatch(call_id)}
    short: dict[str, str] = {}
    for call_id in dict.fromkeys(ids):
        if call_id in taken:
            continue
        attempt = 0
        while (made := _digest(f"{attempt}:{call_id}" if attempt else call_id)) in taken:
            attempt += 1
        taken.add(made)
        short[call_id] = made
    return short


def _digest(text: str) -> str:
    number = int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
    digits: list[str] = []
    for _ in range(9):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(digits)


def _renamed(raw: Raw, message: _Message, short: dict[str, str]) -> Raw:
    changes: dict[str, Any] = {}
    if message.tool_call_id in short:
        changes["tool_call_id"] = short[message.tool_call_id]
    if message.tool_calls and any(_call(call).id in short for call in message.tool_calls):
        changes["tool_calls"] = [
            Raw(set_members(bytes(call), id=short[own])) if (own := _call(call).id) in short else call
            for call in message.tool_calls
        ]
    return Raw(set_members(bytes(raw), **changes)) if changes else raw


def _with_plain_schemas(body: bytes) -> bytes:
    request = _request(body)
    changes: dict[str, Any] = {}
    if request.tools:
        changes["tools"] = [_plain(tool, "function", "parameters") for tool in request.tools]
    if bytes(request.response_format):
        changes["response_format"] = _plain(request.response_format, "json_schema", "schema")
    return set_members(body, **changes) if changes else body


def _plain(raw: Raw, outer: str, inner: str) -> Raw:
    """`raw` with another schema at `outer.inner`, if there is one that says what it should not."""
    if not bytes(raw).startswith(b"{"):
        return raw
    holder: Raw = getattr(_members(raw), outer)
    schema: Raw = getattr(_members(holder), inner) if bytes(holder).startswith(b"{") else Raw()
    if not any(b'"%b"' % label.encode() in bytes(schema) for label in _LABELS):
        return raw
    plain = _unlabelled(msgspec.json.decode(schema))
    return Raw(set_members(bytes(raw), **{outer: Raw(set_members(bytes(holder), **{inner: plain}))}))


def _unlabelled(schema: Any, *, named: bool = False) -> Any:
    if isinstance(schema, list):
        return [_unlabelled(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _unlabelled(value, named=not named and name in _NAMED)
        for name, value in schema.items()
        if named or name not in _LABELS
    }
