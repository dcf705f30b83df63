"""What an operator may write of models: prices, limits, capabilities, dates. Structs for the config file, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import ROUND_CEILING, Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from pulse_gateway.catalog.charge import OPERATORS_OWN
from pulse_gateway.catalog.override import Override
from pulse_gateway.errors import ConfigError
from pulse_gateway.types.catalog import Price, Rates, UnitRates

__all__ = ["CapabilitiesConfig", "ModelConfig", "PriceConfig", "override_of", "price_of"]

USD = Annotated[float, Meta(ge=0)]
ByVariant = USD | dict[str, USD]
Tokens = Annotated[int, Meta(gt=0)]
Operation = Literal[
    "chat",
    "embeddings",
    "images",
    "image_edits",
    "speech",
    "transcription",
    "translation",
    "moderation",
    "rerank",
    "videos",
]
Medium = Literal["text", "image", "audio", "video", "document", "embedding"]

_TOKEN_CLASSES = Rates.__struct_fields__
_AS_OF = "configured"  # instead of a day: it holds for as long as it is written there


class PriceConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """USD per million tokens, by class, and for what is not sold by the token. A class left out costs what `input` or `output` costs."""

    input: Annotated[USD | None, Meta(description="fresh input; needed, with `output`, where tokens are priced")] = None
    output: Annotated[USD | None, Meta(description="output")] = None
    cached_input: Annotated[USD | None, Meta(description="input read from a prompt cache")] = None
    cache_write: Annotated[USD | None, Meta(description="input written to a short-lived prompt cache")] = None
    cache_write_long: Annotated[USD | None, Meta(description="input written to a long-lived one")] = None
    audio_input: Annotated[USD | None, Meta(description="audio read")] = None
    image_input: Annotated[USD | None, Meta(description="images read")] = None
    video_input: Annotated[USD | None, Meta(description="video read")] = None
    reasoning: Annotated[USD | None, Meta(description="reasoning")] = None
    audio_output: Annotated[USD | None, Meta(description="audio made")] = None
    image_output: Annotated[USD | None, Meta(description="images made, where they are sold by the token")] = None
    video_output: Annotated[USD | None, Meta(description="video made, where it is sold by the token")] = None
    image: Annotated[
        ByVariant | None,
        Meta(
            description='USD for an image: one price, or a table by variant such as `1024x1024/high`, `1024x1024`; `""`: any other'
        ),
    ] = None
    video_second: Annotated[
        ByVariant | None,
        Meta(description="USD for a second of video: one price, or a table by variant such as `1080p`"),
    ] = None
    audio_minute: Annotated[USD | None, Meta(description="USD for a minute listened to")] = None
    characters: Annotated[USD | None, Meta(description="USD for a million characters spoken")] = None
    search: Annotated[
        USD | None, Meta(description="USD for a query of a rerank, or a search by the vendor's own tool")
    ] = None


class CapabilitiesConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model can do and takes. Left out: as the catalog has it; of a model that it does not know nothing is refused."""

    sampling: Annotated[bool | None, Meta(description="takes temperature, top_p, top_k")] = None
    sampling_with_reasoning: Annotated[bool | None, Meta(description="OpenAI: takes them with reasoning as well")] = (
        None
    )
    forced_tool_choice: Annotated[bool | None, Meta(description="can be made to call a tool")] = None
    prefill: Annotated[bool | None, Meta(description="goes on with a last turn of its own")] = None
    tools: Annotated[bool | None, Meta(description="calls tools")] = None
    chat_completions: Annotated[bool | None, Meta(description="OpenAI: served on Chat Completions")] = None
    chat_tools_with_reasoning: Annotated[bool | None, Meta(description="OpenAI: with tools and reasoning")] = None
    chat_tools: Annotated[bool | None, Meta(description="OpenAI: with tools at all")] = None
    system_mid_conversation: Annotated[bool | None, Meta(description="takes system messages later than first")] = None
    image_urls: Annotated[bool | None, Meta(description="takes https addresses of images, not only bytes")] = None
    thinking: Annotated[
        Literal["none", "budget", "adaptive", "always", "level"] | None, Meta(description="how it reasons")
    ] = None
    thinking_can_be_disabled: Annotated[bool | None, Meta(description="whether that can be switched off")] = None
    schema_with_tools: Annotated[bool | None, Meta(description="takes a JSON schema together with tools")] = None
    efforts: Annotated[list[str] | None, Meta(description="efforts of reasoning that it knows; `[]`: none")] = None
    legacy_max_tokens: Annotated[bool | None, Meta(description="OpenAI: takes `max_tokens`")] = None


class ModelConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model that the catalog does not know, or knows otherwise. The table's name is `provider:model`; what is left out stays."""

    price: Annotated[PriceConfig | None, Meta(description="instead of the list price")] = None
    context_tokens: Annotated[Tokens | None, Meta(description="longest input")] = None
    max_output_tokens: Annotated[Tokens | None, Meta(description="longest answer")] = None
    capabilities: Annotated[CapabilitiesConfig | None, Meta(description="what it can do and takes")] = None
    operations: Annotated[list[Operation] | None, Meta(description="what it is for")] = None
    inputs: Annotated[list[Medium] | None, Meta(description="what it reads")] = None
    outputs: Annotated[list[Medium] | None, Meta(description="what it makes")] = None
    dimensions: Annotated[Tokens | None, Meta(description="of an embedding, unless fewer are asked for")] = None
    start: Annotated[str | None, Meta(description="since when it is served, `2026-11-24`")] = None
    shutdown: Annotated[
        str | None, Meta(description="from when on it is not, `2026-11-24`; it is listed until then")
    ] = None


def price_of(written: PriceConfig, key: str) -> Price:
    """`key` names the table in errors.

    Raises: ConfigError when nothing is priced, or tokens only in part.
    """
    given = {name: amount for name in _TOKEN_CLASSES if (amount := getattr(written, name)) is not None}
    if given and not {"input", "output"} <= given.keys():
        missing = "input" if "input" not in given else "output"
        raise ConfigError(f"{key}.{missing} is missing: where tokens are priced, `input` and `output` are needed")
    units = _units(written)
    if not given and units is None:
        raise ConfigError(f"{key} prices nothing; give `input` and `output`, or a unit such as `image`")
    rates = Rates(**{"input": 0, "output": 0, **{name: _nano_usd(amount) for name, amount in given.items()}})
    return Price(rates=rates, units=units, source=OPERATORS_OWN, as_of=_AS_OF)


def override_of(written: ModelConfig, key: str) -> Override:
    """`key` names the table in errors.

    Raises: ConfigError for a price or a day that is none.
    """
    said = () if written.capabilities is None else msgspec.structs.asdict(written.capabilities).items()
    capabilities = {name: value for name, value in said if value is not None}
    if "efforts" in capabilities:
        capabilities["efforts"] = tuple(capabilities["efforts"])
    for name in ("start", "shutdown"):
        _require_day(getattr(written, name), f"{key}.{name}")
    return Override(
        price=None if written.price is None else price_of(written.price, f"{key}.price"),
        context_tokens=written.context_tokens,
        max_output_tokens=written.max_output_tokens,
        capabilities=capabilities,
        start=written.start,
        shutdown=written.shutdown,
        operations=None if written.operations is None else tuple(written.operations),
        inputs=None if written.inputs is None else tuple(written.inputs),
        outputs=None if written.outputs is None else tuple(written.outputs),
        dimensions=written.dimensions,
    )


def _units(written: PriceConfig) -> UnitRates | None:
    nano: dict[str, Any] = {}
    for name in UnitRates.__struct_fields__:
        amount = getattr(written, name)
        if isinstance(amount, Mapping):
            nano[name] = {variant: _nano_usd(each) for variant, each in amount.items()}
        elif amount is not None:
            nano[name] = {"": _nano_usd(amount)} if name in {"image", "video_second"} else _nano_usd(amount)
    return UnitRates(**nano) if any(amount != {} for amount in nano.values()) else None


def _nano_usd(usd: float) -> int:
    """Through the decimal text, so that 0.1 is a tenth and not its nearest binary fraction; up, so that nothing is below its cost."""
    return int((Decimal(str(usd)) * 1_000_000_000).to_integral_value(ROUND_CEILING))


def _require_day(text: str | None, key: str) -> None:
    if text is None:
        return
    try:
        if date.fromisoformat(text).isoformat() == text:
            return
    except ValueError:
        pass
    raise ConfigError(f"{key} = {text!r} is no day; write it as 2026-11-24")
