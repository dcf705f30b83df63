"""What a moderation hook is asked, and what it answers."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

__all__ = ["ALLOWED", "Content", "Moderator", "Verdict"]


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """Text to review. For a streamed answer `text` is the window: what is held back, with some of what was let go before."""

    text: str
    stage: Literal["prompt", "answer"]
    user_id: str
    tenant_id: str
    model: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`category` is shown to the caller, the matching text never is."""

    allowed: bool
    category: str | None = None


ALLOWED = Verdict(allowed=True)


class Moderator(Protocol):
    """A hook. `name` appears in logs and errors."""

    name: str

    async def review(self, content: Content, /) -> Verdict: ...
