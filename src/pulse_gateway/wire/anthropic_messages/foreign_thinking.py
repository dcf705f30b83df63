"""Thinking of other vendors in the history of a Messages client that now asks Anthropic.

The vendor takes back only thinking that it has signed. A client that talked to others before, through a gateway that shows their
thinking in the same blocks, has blocks in its history whose signature is another vendor's, or empty.

Source: https://platform.claude.com/docs/en/build-with-claude/extended-thinking (read 2026-11-24)
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from pulse_gateway.wire.json_splice import set_members
from pulse_gateway.wire.signatures import anthropic_signature

__all__ = ["without_foreign_thinking"]

_PATH = "messages[].content[].thinking"


class _Block(msgspec.Struct):
    type: Any = None
    signature: str | None = None


class _Message(msgspec.Struct):
    role: Any = None
    content: Any = None


class _Blocks(msgspec.Struct):
    content: list[Raw] = []


class _Request(msgspec.Struct):
    messages: list[Raw] = []


_request = msgspec.json.Decoder(_Request).decode
_message = msgspec.json.Decoder(_Message).decode
_blocks = msgspec.json.Decoder(_Blocks).decode
_block = msgspec.json.Decoder(_Block).decode


def without_foreign_thinking(body: bytes) -> tuple[bytes, tuple[str, ...]]:
    """`body` without blocks of thinking that are not Anthropic's, and their path; `body` itself when it holds none.

    Raises: InvalidRequest when a key occurs twice in what is changed.
    """
    if b'"thinking"' not in body or b'"signature"' not in body:
        return body, ()
    try:
        messages = _request(body).messages
        kept = [message for raw in messages if (message := _without(raw)) is not None]
    except msgspec.ValidationError:  # not of the shape that it should have: the vendor will say so
        return body, ()
    return (body, ()) if kept == messages else (set_members(body, messages=kept), (_PATH,))


def _without(raw: Raw) -> Raw | None:
    """None for a turn of nothing else."""
    if b'"thinking"' not in bytes(raw):
        return raw
    message = _message(raw)
    if message.role != "assistant" or not isinstance(message.content, list):
        return raw
    blocks = _blocks(raw).content
    kept = [block for block in blocks if not _is_foreign(block)]
    if kept == blocks:
        return raw
    return Raw(set_members(bytes(raw), content=kept)) if kept else None


def _is_foreign(raw: Raw) -> bool:
    block = _block(raw)
    if block.type != "thinking" or block.signature is None:
        return False
    return not block.signature or anthropic_signature(block.signature) is None
