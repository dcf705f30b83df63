"""How a vendor that copied a dialect spells the members of a request otherwise. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from pulse_gateway.errors import UnsupportedParameter
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.wire.json_splice import remove_member, set_members
from pulse_gateway.wire.refusals import not_taken

__all__ = ["Spelling", "refuse_tokens", "reworded", "spelled", "told_members"]

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Spelling(msgspec.Struct, frozen=True, kw_only=True):
    """Of one dialect. `drops` and `renames` as in `spelled`; `refuses`: members that the vendor left out of its copy, and that say something
    unless they are null or false; `check` refuses by name what else it left out.
    """

    drops: frozenset[str] = frozenset()
    renames: Mapping[str, str] = {}
    refuses: frozenset[str] = frozenset()
    check: Callable[[bytes, Deployment], None] | None = None

    def refuse(self, body: bytes, deployment: Deployment) -> None:
        """Raises: UnsupportedParameter."""
        if any(b'"%b"' % name.encode() in body for name in self.refuses):
            members = _decode_members(body)
            for name in sorted(self.refuses & members.keys()):
                if bytes(members[name]) not in (b"null", b"false"):
                    raise not_taken(deployment.model, name)
        if self.check is not None:
            self.check(body, deployment)


def spelled(body: bytes, drops: frozenset[str], renames: Mapping[str, str]) -> bytes:
    """`body` without the members in `drops`, and with others under the name that the vendor knows them by.

    It is looked into only if it may hold one of them.
    """
    for name in drops:
        if b'"%b"' % name.encode() in body:
            body = remove_member(body, name)
    for name, theirs in renames.items():
        if b'"%b"' % name.encode() in body and (value := _decode_members(body).get(name)) is not None:
            body = set_members(remove_member(body, name), **{theirs: value})
    return body


def told_members(body: bytes, names: frozenset[str]) -> tuple[str, ...]:
    """Those of `names` that `body` has a member of."""
    asked = [name for name in sorted(names) if b'"%b"' % name.encode() in body]
    return tuple(name for name in asked if name in _decode_members(body))


def reworded(body: bytes, words: Mapping[str, Mapping[str, str]]) -> bytes:
    """`body` with other words in the members that `words` names, for those words the vendor knows by another name."""
    for name, theirs in words.items():
        if b'"%b"' % name.encode() in body and (value := _decode_members(body).get(name)) is not None:
            written = bytes(value)
            word = msgspec.json.decode(written, type=str) if written.startswith(b'"') else ""
            if word in theirs:
                body = set_members(body, **{name: theirs[word]})
    return body


class _Embedded(msgspec.Struct):
    input: msgspec.Raw = msgspec.Raw()


_embedded = msgspec.json.Decoder(_Embedded).decode


def refuse_tokens(body: bytes, deployment: Deployment) -> None:
    """Raises: UnsupportedParameter for an embedding of tokens instead of texts."""
    written = bytes(_embedded(body).input)
    if written.startswith(b"[") and written[1:].lstrip()[:1] not in (b'"', b"{"):
        raise UnsupportedParameter(f"{deployment.name} embeds texts, not lists of tokens", param="input")
