"""Tracebacks that tell where a request failed, but not with which words: those may quote a prompt, or a key."""

from __future__ import annotations

import traceback
from typing import Any

import structlog
from structlog.typing import ExcInfo

__all__ = ["as_structure", "as_text"]

# What the operating system and the import system say is about files and hosts, and needed to mend them.
_WITH_WORDS = (OSError, ImportError)


def _told(exc_info: ExcInfo) -> list[dict[str, Any]]:
    """The error and what caused it, the first cause last."""
    told: list[dict[str, Any]] = []
    error: BaseException | None = exc_info[1]
    while error is not None and len(told) < 10:
        frames = [
            f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
        ]
        words = {"message": str(error)} if isinstance(error, _WITH_WORDS) else {}
        told.append({"type": f"{type(error).__module__}.{type(error).__qualname__}", **words, "frames": frames})
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return told


def _text(exc_info: ExcInfo) -> str:
    lines = []
    for number, each in enumerate(_told(exc_info)):
        cause = "caused by " if number else ""
        lines.append(f"  {cause}{each['type']}{': ' if 'message' in each else ''}{each.get('message', '')}")
        lines += [f"    {frame}" for frame in each["frames"]]
    return "\n".join(lines)


as_structure = structlog.processors.ExceptionRenderer(_told)
as_text = structlog.processors.ExceptionRenderer(_text)
