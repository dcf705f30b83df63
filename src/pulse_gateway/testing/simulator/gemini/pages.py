"""Lists in pages.

Source: https://google.aip.dev/158 (read 2026-11-24)
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Sequence

from pulse_gateway.testing.simulator.dice import decode_base64
from pulse_gateway.testing.simulator.gemini.errors import refuse

__all__ = ["page"]

_DEFAULT = 50
_MOST = 1000


def page(items: Sequence[str], query: dict[str, str]) -> tuple[Sequence[str], dict[str, str]]:
    """The page that `pageSize` and `pageToken` ask for, and the `nextPageToken` if there is more.

    Raises: Refusal.
    """
    size_text = query.get("pageSize", query.get("page_size", "")) or "0"
    if not size_text.lstrip("-").isascii() or not size_text.lstrip("-").isdigit():
        raise refuse(f"Invalid value at 'page_size' (TYPE_INT32), \"{size_text}\"")
    size = int(size_text)
    if size < 0:
        raise refuse("page_size must not be negative.")
    start = _position(query.get("pageToken", query.get("page_token", "")), len(items))
    end = start + min(size or _DEFAULT, _MOST)
    following = {"nextPageToken": urlsafe_b64encode(b"page %d" % end).decode()} if end < len(items) else {}
    return items[start:end], following


def _position(token: str, most: int) -> int:
    if not token:
        return 0
    _, _, number = (decode_base64(token, url_safe=True) or b"").partition(b"page ")
    if not number.isdigit() or int(number) >= most:
        raise refuse("The page token is not valid.")
    return int(number)
