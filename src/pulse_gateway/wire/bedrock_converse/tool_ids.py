"""Ids of tool calls, in the characters and the length that Bedrock and the models behind it accept.

An id that would be refused is written as a marker and its base64url, which can be read back. One that is too long for that is
written as a marker and its digest: it stands for itself within the request, and no answer ever repeats it. Ids that begin with a
marker are written so too: no two ids become one.

Source: botocore 1.44, shape `ToolUseId`: `[a-zA-Z0-9_.:-]+`, at most 64; Anthropic's models take no `.` and `:`
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

__all__ = ["escape", "unescape"]

_LONGEST = 64
_ACCEPTED = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MARKER = "pulse-id_"
_DIGEST_MARKER = "pulse-sha_"


def escape(call_id: str) -> str:
    """`call_id` as Bedrock takes it; most ids stay as they are."""
    if _ACCEPTED.fullmatch(call_id) and not call_id.startswith((_MARKER, _DIGEST_MARKER)):
        return call_id
    written = call_id.encode("utf-8", "surrogatepass")
    escaped = _MARKER + _text(written)
    return escaped if len(escaped) <= _LONGEST else _DIGEST_MARKER + _text(hashlib.sha256(written).digest())


def unescape(call_id: str) -> str:
    """The id that `escape` made this one from, where that can be told; any other id stays as it is."""
    if not call_id.startswith(_MARKER):
        return call_id
    text = call_id[len(_MARKER) :]
    try:
        original = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        return call_id
    return original if escape(original) == call_id else call_id


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
