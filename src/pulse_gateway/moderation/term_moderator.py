"""The built-in hook: listed terms, looked up locally."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pulse_gateway.errors import ConfigError
from pulse_gateway.moderation.moderator import ALLOWED, Content, Verdict
from pulse_gateway.moderation.term_file import Term, read_terms
from pulse_gateway.moderation.terms import TermList

__all__ = ["TermModerator"]


class TermModerator:
    """Refuses text that holds a listed term of `block_severity` or more, naming the term's category.

    `file` takes the place of the built-in list. `extra_terms` are refused always, as category `custom`; `exemptions`
    excuse what they hold or overlap. Reads the list when constructed, so make it at start-up or reload, not per request.
    Raises: ConfigError when the list cannot be read, or `block_severity` is none of the two.
    """

    name = "terms"

    def __init__(
        self,
        *,
        block_severity: Literal["medium", "high"] = "high",
        file: Path | None = None,
        extra_terms: Sequence[str] = (),
        exemptions: Sequence[str] = (),
    ) -> None:
        if block_severity not in ("medium", "high"):
            raise ConfigError(
                f"block_severity {block_severity!r} is neither 'medium' nor 'high': "
                "terms of low severity are ordinary words and never block"
            )
        listed = read_terms(file)
        self._block_severity: Literal["medium", "high"] = block_severity
        self._terms = TermList([*listed.terms, *map(Term, extra_terms)], [*listed.exempt, *exemptions])

    def review_now(self, content: Content, /) -> Verdict:
        found = self._terms.gravest(content.text, self._block_severity)
        return ALLOWED if found is None else Verdict(allowed=False, category=found.category)

    async def review(self, content: Content, /) -> Verdict:
        return self.review_now(content)
