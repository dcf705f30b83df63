"""What a call used, as the vendor counted it."""

from __future__ import annotations

from enum import Enum

import msgspec

__all__ = ["Outcome", "Usage", "UsageSource"]


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, repr_omit_defaults=True):
    """Tokens in disjoint classes: their sum is the vendor's total. `None` is unknown, `0` is zero.

    What is not sold by the token is counted in units of its own below them: they are in no total of tokens. `variant` names what
    the units were, where their price depends on it: an image's `1024x1024/high`, a video's `1080p`.

    Source: the mapping of each vendor's counters is written beside its decoder in `wire/` or its provider.
    """

    input_tokens: int | None = None  # fresh text, image and document input, billed at the plain input rate
    cached_input_tokens: int | None = None  # read from a prompt cache
    cache_write_tokens: int | None = None  # written to a short-lived prompt cache (5 or 30 minutes)
    cache_write_long_tokens: int | None = None  # written to a long-lived one (1 or 12 hours)
    audio_input_tokens: int | None = None
    image_input_tokens: int | None = None  # where the vendor counts them apart; else they are fresh input
    video_input_tokens: int | None = None
    output_tokens: int | None = None  # visible output: text and tool calls
    reasoning_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_output_tokens: int | None = None
    video_output_tokens: int | None = None
    images: int | None = None  # made
    video_ms: int | None = None  # milliseconds of video made
    audio_ms: int | None = None  # milliseconds of audio listened to
    characters: int | None = None  # spoken, or judged
    searches: int | None = None  # queries of a rerank; of a chat, searches by the vendor's own tool
    variant: str | None = None

    @property
    def says_input(self) -> bool:
        """Whether anything is known of the input."""
        return (
            self.input_tokens is not None
            or self.cached_input_tokens is not None
            or self.cache_write_tokens is not None
            or self.cache_write_long_tokens is not None
            or self.audio_input_tokens is not None
            or self.image_input_tokens is not None
            or self.video_input_tokens is not None
        )

    # Written out, and not as a sum of what may be None: most classes are, and are asked several times for each request.

    @property
    def input_total(self) -> int:
        """All input tokens, cached or not; unknown classes count as zero."""
        total = 0
        if count := self.input_tokens:
            total += count
        if count := self.cached_input_tokens:
            total += count
        if count := self.cache_write_tokens:
            total += count
        if count := self.cache_write_long_tokens:
            total += count
        if count := self.audio_input_tokens:
            total += count
        if count := self.image_input_tokens:
            total += count
        if count := self.video_input_tokens:
            total += count
        return total

    @property
    def output_total(self) -> int:
        """All output tokens, reasoning included; unknown classes count as zero."""
        total = 0
        if count := self.output_tokens:
            total += count
        if count := self.reasoning_tokens:
            total += count
        if count := self.audio_output_tokens:
            total += count
        if count := self.image_output_tokens:
            total += count
        if count := self.video_output_tokens:
            total += count
        return total

    @property
    def total(self) -> int:
        return self.input_total + self.output_total


class UsageSource(Enum):
    """Where the numbers of an entry come from."""

    PROVIDER = "provider"  # the vendor's usage frame
    DRAINED = "drained"  # the vendor's usage frame, read on after the client had left
    ESTIMATED = "estimated"  # counted by us from what was sent and relayed
    NONE = "none"  # nothing was used


class Outcome(Enum):
    """How an exchange, or one attempt of it, ended."""

    COMPLETED = "completed"
    REFUSED = "refused"  # by us, before any upstream call: limits, moderation, a bad request
    FAILED = "failed"  # the upstream failed before the commit point
    INTERRUPTED = "interrupted"  # the upstream broke off after it
    BLOCKED = "blocked"  # a moderator stopped the answer
    CLIENT_GONE = "client_gone"
    CLIENT_SLOW = "client_slow"  # it did not read what it had asked for
    CANCELLED = "cancelled"  # our own deadline, shutdown, or the embedding program
