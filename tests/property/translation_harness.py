"""A client's request on its way to a deployment of another dialect, by the pipeline's own code."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pulse_gateway.pipeline.exchange import Exchange, Inbound
from pulse_gateway.pipeline.prepare import Prepared, prepare
from pulse_gateway.providers.openai import OpenAI
from pulse_gateway.providers.registry import provider
from pulse_gateway.types.catalog import Capabilities, Deployment, Model
from pulse_gateway.wire.registry import DIALECTS, codec

__all__ = ["ANY_MODEL", "ONLY_RESPONSES", "PAIRS", "decoded", "deployment", "has_path", "sent", "without"]

PAIRS = [(client, upstream) for client in DIALECTS for upstream in DIALECTS if client != upstream]
# Of which nothing is known, so that only the dialect itself limits what can be said; each name is of its vendor's family.
ANY_MODEL = {
    "openai.chat": Model(provider="openai", name="gpt-x"),
    "openai.responses": Model(provider="openai", name="gpt-r"),
    "anthropic.messages": Model(
        provider="anthropic", name="claude-x", capabilities=Capabilities(system_mid_conversation=True)
    ),
    "gemini": Model(provider="google", name="gemini-x"),
}


# OpenAI as it would be if it had nothing but Responses: what it is asked there is what is looked at, whichever it would choose.
ONLY_RESPONSES = OpenAI(kind="openai", dialect="openai.responses", dialects=frozenset({"openai.responses"}))


def deployment(dialect: str, model: Model | None = None, base_url: str = "http://upstream.test") -> Deployment:
    """Of a vendor that speaks `dialect`."""
    model = model or ANY_MODEL[dialect]
    kind = "translation_harness:ONLY_RESPONSES" if dialect == "openai.responses" else model.provider
    return Deployment(provider=model.provider, kind=kind, model=model, base_url=base_url, key="k")


def sent(client: str, body: dict[str, Any], to: Deployment, *, stream: bool | None = None) -> Prepared:
    """Raises: InvalidRequest, UnsupportedParameter, as the client would see them."""
    raw = msgspec.json.encode(body)
    in_path = client == "gemini"
    inbound = Inbound(
        dialect=client, body=raw, model="alias" if in_path else None, stream=bool(stream) if in_path else None
    )
    exchange = Exchange(inbound, codec(client), 0.0)
    exchange.envelope = codec(client).read_envelope(raw, model=inbound.model, stream=inbound.stream)
    exchange.deployment = to
    upstream = provider(to.kind)
    return prepare(exchange, to, upstream, codec(upstream.dialect))


def decoded(dialect: str, body: bytes, *, stream: bool = False) -> Any:
    """`body` in neutral words; the model's name stands in the path where the dialect has it there."""
    in_path = dialect == "gemini"
    return codec(dialect).decode_request(body, model="alias" if in_path else None, stream=stream if in_path else None)


_STEP = re.compile(r"([^.\[\]]+)|\[(\d*)\]")


def has_path(body: Any, path: str) -> bool:
    """Whether `path` stands in `body`; `[]` is any place of a list."""
    return bool(_at(body, [(name, index) for name, index in _STEP.findall(path)]))


def _at(value: Any, steps: list[tuple[str, str]]) -> list[Any]:
    if not steps:
        return [value]
    (name, index), *rest = steps
    if name:
        return _at(value[name], rest) if isinstance(value, dict) and name in value else []
    if not isinstance(value, list):
        return []
    places = range(len(value)) if index == "" else [int(index)]
    return [found for place in places if place < len(value) for found in _at(value[place], rest)]


def without(body: Any, path: tuple[str | int, ...]) -> Any:
    """`body` without the member at `path`."""
    step, *rest = path
    if isinstance(body, list):
        return [without(item, tuple(rest)) if place == step else item for place, item in enumerate(body)]
    if not rest:
        return {name: value for name, value in body.items() if name != step}
    return {name: without(value, tuple(rest)) if name == step else value for name, value in body.items()}
