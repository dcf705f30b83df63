"""Ids of tool calls, in the characters Anthropic accepts.

Other vendors' ids may hold any character; Anthropic refuses all but letters, digits, `_` and `-`. An id that would be refused
is written as a marker and its base64url, so that it can be read back. So is one that begins with the marker itself: the
mapping is one to one.

Source: https://platform.claude.com/docs/en/api/messages (read 2026-11-24)
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

__all__ = ["escape", "unescape"]

_ACCEPTED = re.compile(r"[a-zA-Z0-9_-]+")
_MARKER = "pulse-id_"


def escape(call_id: str) -> str:
    """`call_id` as Anthropic takes it; most ids stay as they are."""
    if _ACCEPTED.fullmatch(call_id) and not call_id.startswith(_MARKER):
        return call_id
    return _MARKER + urlsafe_b64encode(call_id.encode()).rstrip(b"=").decode()


def unescape(call_id: str) -> str:
    """The id that `escape` made this one from; any other id stays as it is."""
    if not call_id.startswith(_MARKER):
        return call_id
    text = call_id[len(_MARKER) :]
    try:
        original = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        return call_id
    return original if escape(original) == call_id else call_id
