"""What is known of a model: its price, its limits, and what it can and cannot do."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import msgspec

from pulse_gateway.types.http import Headers, Timeouts

__all__ = ["Capabilities", "Deployment", "Model", "Price", "Rates", "UnitRates"]


class Rates(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Nano-USD per million tokens, by the classes of `Usage`. None: the class is not priced apart.

    An unpriced cached, cache-write, audio, image or video input class costs the `input` rate; reasoning, audio, image and video
    output the `output` rate.
    """

    input: int
    output: int
    cached_input: int | None = None
    cache_write: int | None = None
    cache_write_long: int | None = None
    audio_input: int | None = None
    reasoning: int | None = None
    audio_output: int | None = None
    image_output: int | None = None
    image_input: int | None = None
    video_input: int | None = None
    video_output: int | None = None


class UnitRates(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Nano-USD for what is not sold by the token; None or empty: not sold so.

    By `Usage.variant`, where the price depends on it: the variant itself, else the nearest of its beginnings up to a `/`
    (`1024x1024` for `1024x1024/high`), else `""`, which stands for every other, else the dearest.
    """

    image: dict[str, int] = {}  # an image
    video_second: dict[str, int] = {}
    audio_minute: int | None = None  # listened to
    characters: int | None = None  # a million characters spoken
    search: int | None = None  # a query of a rerank; of a chat, a search by the vendor's own tool


class Price(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`rates`, or `long_rates` for the whole request once its input exceeds `long_above_tokens`.

    `source` names where the numbers come from, `as_of` the day they were read (ISO 8601).
    """

    rates: Rates
    source: str
    as_of: str
    long_above_tokens: int | None = None
    long_rates: Rates | None = None
    units: UnitRates | None = None


class Capabilities(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What translation must know of a model. Defaults describe an unknown model: nothing is refused on its behalf."""

    sampling: bool = True  # temperature, top_p, top_k are accepted
    sampling_with_reasoning: bool = True  # OpenAI: also with an effort other than `none`
    forced_tool_choice: bool = True
    prefill: bool = True  # a trailing assistant turn is continued
    tools: bool = True
    chat_completions: bool = True  # OpenAI: served on Chat Completions, not on Responses alone
    chat_tools_with_reasoning: bool = True  # OpenAI: tools on Chat Completions together with reasoning
    chat_tools: bool = True  # OpenAI: tools on Chat Completions at all
    system_mid_conversation: bool = False
    image_urls: bool = True  # takes https image URLs, not only bytes
    thinking: Literal["none", "budget", "adaptive", "always", "level"] | None = None
    thinking_can_be_disabled: bool = True
    schema_with_tools: bool = True
    efforts: tuple[str, ...] | None = None  # None: unknown, all are passed on
    legacy_max_tokens: bool = True  # OpenAI: `max_tokens` is accepted beside `max_completion_tokens`


class Model(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One vendor's model under the vendor's own name. Limits are in tokens; dates ISO 8601.

    `operations` are what it is for: `chat`, or words of `wire.operation`; `inputs` and `outputs` what it reads and makes: `text`,
    `image`, `audio`, `video`, `document`, `embedding`. Empty: not known. `dimensions` are those of an embedding, unless fewer are asked for.
    """

    provider: str
    name: str
    price: Price | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    capabilities: Capabilities = Capabilities()
    start: str | None = None
    shutdown: str | None = None
    operations: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    dimensions: int | None = None


class Deployment(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One concrete upstream: where it is, how to speak to it, and with which key.

    `key` is the secret itself and stays out of `repr`. `abandoned`: what becomes of a stream whose client has left. `bucket`: where a
    vendor puts what it makes that it does not keep itself, `s3://bucket/folder`.
    """

    provider: str  # the configured provider's name
    kind: str  # the row of `providers.registry` that knows how to call it
    model: Model
    base_url: str
    key: str | None = None
    headers: Headers = ()
    timeouts: Timeouts = Timeouts()
    weight: int = 1
    abandoned: Literal["abort", "drain"] = "abort"
    proxy: str | None = None
    bucket: str | None = None

    @cached_property
    def name(self) -> str:
        return f"{self.provider}:{self.model.name}"

    def __repr__(self) -> str:
        return f"Deployment({self.name!r}, base_url={self.base_url!r})"
