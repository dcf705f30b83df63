"""Every text in a value of JSON, for who reads prompts and does not know what else a vendor's model reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

__all__ = ["texts_in"]

_FILE = re.compile(r"data:[\w.+/-]*;base64,[A-Za-z0-9+/_-]{256,}={0,2}", re.ASCII)  # nobody can read one


def texts_in(value: Any) -> Iterator[str]:
    """In order; neither keys nor data URLs are texts. What is no JSON, such as a file of a form, holds none."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text if not _FILE.fullmatch(text):
                yield text
            case dict() as members:
                waiting += reversed(members.values())
            case list() as items:
                waiting += reversed(items)
