"""Entries as the columns of `incoming.sql`. Pure."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.types.usage import Usage

__all__ = ["JOURNAL", "PERMIT", "as_uuid", "clean", "columns_of", "correction_id"]

JOURNAL, PERMIT = (
    "journal",
    "permit",
)  # what an entry was recovered from, when not the process that made the call has written it

_is_uuid = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch
_encode = msgspec.json.Encoder().encode
_FIELDS = UsageEntry.__struct_fields__
# In the order of incoming.sql, which takes them as $1, $2 …
_BEFORE_USAGE = [
    "entry_id",
    "request_id",
    "trace_id",
    "tenant_id",
    "user_id",
    "key_id",
    "accounts",
    "period",
    "operation",
    "dialect",
    "alias",
    "provider",
    "model",
    "attempt",
    "outcome",
    "source",
    "recovered",
    "reverses",
]
# `images` is left out: the entry's own count, which quotas go by, is made of it.
_USAGE_FIELDS = Usage.__struct_fields__
_OF_USAGE = tuple(name for name in _USAGE_FIELDS if name != "images")
_AFTER_USAGE = [
    "tokens",
    "cost_nano_usd",
    "price_source",
    "price_version",
    "images",
    "videos",
    "first_byte_ms",
    "total_ms",
    "at",
    "error_code",
    "tags",
]
_TEXT = frozenset(
    [
        "request_id",
        "trace_id",
        "tenant_id",
        "user_id",
        "key_id",
        "operation",
        "dialect",
        "alias",
        "provider",
        "model",
        "price_source",
        "price_version",
        "error_code",
    ]
)


def columns_of(entries: Sequence[UsageEntry], recovered: Sequence[str | None]) -> list[str | None]:
    """One array a column, as Postgres writes it, or None for one without values. `recovered` says of each entry what it was recovered from, `JOURNAL` or `PERMIT`; None: it was not.

    Raises: AttributeError, TypeError or ValueError for values that are not what their types say.
    """
    fields: dict[str, Sequence[Any]] = dict(
        zip(_FIELDS, zip(*map(msgspec.structs.astuple, entries), strict=True), strict=True)
    )
    used = zip(*map(msgspec.structs.astuple, fields["usage"]), strict=True)
    fields.update((name, column) for name, column in zip(_USAGE_FIELDS, used, strict=True) if name in _OF_USAGE)
    fields["recovered"] = recovered
    fields["entry_id"] = [each if _is_uuid(each) else as_uuid(each) for each in fields["entry_id"]]
    fields["reverses"] = [None if entry_id is None else as_uuid(entry_id) for entry_id in fields["reverses"]]
    fields["outcome"] = [outcome._value_ for outcome in fields["outcome"]]
    fields["source"] = [source._value_ for source in fields["source"]]
    for name in (*_TEXT, "variant"):
        fields[name] = _texts(fields[name])
    accounts = "{" + ",".join(map(_accounts, fields.pop("accounts"))) + "}"
    tags = "{" + ",".join(map(_meta, fields.pop("tags"))) + "}"
    return [
        accounts if name == "accounts" else tags if name == "tags" else _array(fields[name])
        for name in (*_BEFORE_USAGE, *_OF_USAGE, *_AFTER_USAGE)
    ]


def as_uuid(entry_id: str) -> str:
    """The id in the form of a UUID; an id of another form maps to one that is always the same."""
    return entry_id if _is_uuid(entry_id) else str(_foreign_uuid(entry_id))


def correction_id(entry_id: str, recovered: str | None) -> str:
    """The id of the one correction that the better word on an entry makes: always the same for that word."""
    return str(uuid.uuid5(uuid.UUID(as_uuid(entry_id)), recovered or "reported"))


def clean(entry: UsageEntry) -> UsageEntry:
    """`entry` without what neither JSON nor Postgres can hold."""
    changed: dict[str, Any] = {name: _text(value) for name in _TEXT if isinstance(value := getattr(entry, name), str)}
    tags = tuple((_text(name), _text(value)) for name, value in entry.tags)
    if entry.usage.variant is not None:
        changed["usage"] = msgspec.structs.replace(entry.usage, variant=_text(entry.usage.variant))
    return msgspec.structs.replace(
        entry, tags=tags, entry_id=as_uuid(entry.entry_id), accounts=tuple(map(_text, entry.accounts)), **changed
    )


def _foreign_uuid(entry_id: str) -> uuid.UUID:
    try:
        return uuid.UUID(entry_id)
    except ValueError:
        return uuid.uuid5(uuid.NAMESPACE_OID, _text(entry_id))


def _texts(values: Sequence[str | None]) -> Sequence[str | None]:
    """A column without what Postgres cannot hold; nearly always it is fine, which one look at all of it tells."""
    together = "".join(filter(None, set(values)))  # most columns say the same few things over and over
    if together.isascii() and "\x00" not in together:
        return values
    return [None if value is None else _text(value) for value in values]


def _text(value: str) -> str:
    """`value` with what Postgres cannot hold, NUL and lone surrogates, replaced: a name from outside must not stop a batch."""
    return value.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def _array(column: Sequence[Any]) -> str | None:
    """As Postgres writes an array. More than a third of the columns has no values, as a rule, and is none."""
    if column[0] is None and column.count(None) == len(column):
        return None
    encoded = _encode(column)
    if b"\\" not in encoded:  # then JSON and Postgres write the same, but for the brackets
        return "{" + encoded[1:-1].decode() + "}"
    return "{" + ",".join("null" if value is None else _quoted(value) for value in column) + "}"


def _quoted(text: str) -> str:
    """As a value of an array."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@lru_cache(maxsize=8192)
def _accounts(accounts: tuple[str, ...]) -> str:
    return _quoted("{" + ",".join(_quoted(_text(each)) for each in accounts) + "}")


@lru_cache(maxsize=1024)
def _meta(tags: tuple[tuple[str, str], ...]) -> str:
    meta = {"tags": {_text(name): _text(value) for name, value in tags}} if tags else {}
    return _quoted(_encode(meta).decode())
