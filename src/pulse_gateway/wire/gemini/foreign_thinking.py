"""Thinking of other vendors in the history of a Gemini client that now asks Gemini.

The vendor takes back only what it has signed, and from its third generation on demands a signature of every step of the current turn. A
client that talked to others before has their proofs, sealed by `signatures`, and calls that nobody signed.

Source: https://ai.google.dev/gemini-api/docs/thought-signatures (read 2026-11-24)
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw

from pulse_gateway.types.catalog import Model
from pulse_gateway.wire.gemini.encode_contents import NO_SIGNATURE
from pulse_gateway.wire.gemini.thinking import thinks_by_level
from pulse_gateway.wire.json_splice import set_members

__all__ = ["without_foreign_thinking"]

_PATH = "contents[].parts[].thought"
_SEALED = "cHVsc2U6"  # how every seal begins: base64 of "pulse:"
_MAY_HOLD = re.compile(
    rb'"(?:thought_?[sS]ignature|function_?[cC]all)"'
)  # one pass over a body that mostly holds neither


class _Part(msgspec.Struct, rename="camel"):
    thought_signature: str | None = None
    thought_signature_snake: str | None = msgspec.field(default=None, name="thought_signature")
    function_call: Raw = Raw()
    function_call_snake: Raw = msgspec.field(default=Raw(), name="function_call")
    function_response: Raw = Raw()
    function_response_snake: Raw = msgspec.field(default=Raw(), name="function_response")

    @property
    def signature(self) -> str | None:
        return self.thought_signature or self.thought_signature_snake

    @property
    def is_sealed(self) -> bool:
        return self.signature is not None and self.signature.startswith(_SEALED)

    @property
    def is_call(self) -> bool:
        return bool(bytes(self.function_call) or bytes(self.function_call_snake))

    @property
    def is_result(self) -> bool:
        return bool(bytes(self.function_response) or bytes(self.function_response_snake))


class _Content(msgspec.Struct):
    role: str | None = None
    parts: list[Raw] = []


class _Request(msgspec.Struct):
    contents: list[Raw] = []


_request = msgspec.json.Decoder(_Request).decode
_content = msgspec.json.Decoder(_Content).decode
_part = msgspec.json.Decoder(_Part).decode


def without_foreign_thinking(body: bytes, model: Model) -> tuple[bytes, tuple[str, ...]]:
    """`body` without thoughts that are not Gemini's, and their path; calls that `model` wants signed get what it accepts instead.

    `body` itself when nothing of it has to change. Raises: InvalidRequest when a key occurs twice in what is changed.
    """
    by_level = thinks_by_level(model)
    if _MAY_HOLD.search(body) is None or not (by_level or _SEALED.encode() in body):
        return body, ()
    try:
        contents = _request(body).contents
        read = [_content(raw) for raw in contents]
        parts = [[_part(part) for part in content.parts] for content in read]
    except msgspec.ValidationError:  # not of the shape that it should have: the vendor will say so
        return body, ()
    begun = _current_turn(read, parts) if by_level else len(contents)
    kept: list[Raw] = []
    dropped = False
    for place, (raw, content, seen) in enumerate(zip(contents, read, parts, strict=True)):
        own = [
            (written, part) for written, part in zip(content.parts, seen, strict=True) if not _is_foreign_thought(part)
        ]
        dropped = dropped or len(own) < len(seen)
        said = _signed(own, wants_one=place >= begun)
        if said == content.parts:
            kept.append(raw)
        elif said:
            kept.append(Raw(set_members(bytes(raw), parts=said)))
    return (body if kept == contents else set_members(body, contents=kept)), ((_PATH,) if dropped else ())


def _current_turn(contents: list[_Content], parts: list[list[_Part]]) -> int:
    """Where it begins: with the last content of the user that holds no results."""
    plain = (
        place
        for place, content in enumerate(contents)
        if content.role != "model" and not any(part.is_result for part in parts[place])
    )
    return max(plain, default=0)


def _is_foreign_thought(part: _Part) -> bool:
    return part.is_sealed and not part.is_call


def _signed(parts: list[tuple[Raw, _Part]], *, wants_one: bool) -> list[Raw]:
    """The parts of one content, its first call with a signature if it `wants_one`, and none with another vendor's."""
    said: list[Raw] = []
    for raw, part in parts:
        if part.is_call and (part.is_sealed or (wants_one and part.signature is None)):
            name = "thought_signature" if part.thought_signature_snake else "thoughtSignature"
            said.append(Raw(set_members(bytes(raw), **{name: NO_SIGNATURE})))
        else:
            said.append(raw)
        wants_one = wants_one and not part.is_call
    return said
