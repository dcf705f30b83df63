"""The file that holds listed terms: categories × severities, and phrases that excuse a term inside them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from pulse_gateway.errors import ConfigError

__all__ = ["Severity", "Term", "TermFile", "read_terms"]

Severity = Literal["low", "medium", "high"]

_BUILT_IN = Path(__file__).with_name("terms.toml")


class Term(msgspec.Struct, frozen=True):
    """A word or phrase. `low`: an ordinary word that can be an insult, reported but never blocked for its own sake."""

    text: str
    category: str = "custom"
    severity: Severity = "high"


class Levels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    high: tuple[str, ...] = ()
    medium: tuple[str, ...] = ()
    low: tuple[str, ...] = ()


class TermFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`exempt`: names and phrases in which a term is meant innocently."""

    categories: dict[str, Levels] = {}
    exempt: tuple[str, ...] = ()

    @property
    def terms(self) -> list[Term]:
        return [
            term
            for category, levels in self.categories.items()
            for term in (
                *(Term(text, category, "high") for text in levels.high),
                *(Term(text, category, "medium") for text in levels.medium),
                *(Term(text, category, "low") for text in levels.low),
            )
        ]


def read_terms(path: Path | None = None) -> TermFile:
    """The terms of a TOML file; without a path, those of the built-in list. Reads a file: for start-up and reload.

    Raises: ConfigError when the file cannot be read or is not a list of terms.
    """
    source = _BUILT_IN if path is None else path
    try:
        return msgspec.toml.decode(source.read_bytes(), type=TermFile)
    except OSError as error:
        raise ConfigError(f"the term list {source} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # no TOML, or TOML of another shape
        raise ConfigError(f"the term list {source} is not valid: {error}") from error
