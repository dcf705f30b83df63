"""`:countTokens`.

Source: https://ai.google.dev/api/tokens (read 2026-11-24) and google-genai 3.4.0
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.gemini.errors import malformed, refuse
from pulse_gateway.testing.simulator.gemini.models import traits_of
from pulse_gateway.testing.simulator.gemini.platforms import VERTEX
from pulse_gateway.testing.simulator.gemini.rendering import token_details
from pulse_gateway.testing.simulator.gemini.rules import declared
from pulse_gateway.testing.simulator.gemini.schema import (
    Content,
    GenerateContentRequest,
    GenerationConfig,
    Strict,
    Tool,
)
from pulse_gateway.testing.simulator.gemini.vendor import JSON, Gemini, tool_of
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.tokens import Tally
from pulse_gateway.testing.simulator.vendor import Frame, Request, Target

__all__ = ["count_tokens"]

_ENCODE = msgspec.json.encode
T = TypeVar("T")


class CountTokensRequest(Strict):
    """At the Developer API whatever is not contents goes into a whole request."""

    contents: list[Content] = msgspec.field(default_factory=list)
    generate_content_request: GenerateContentRequest | None = None
    model: str | None = None


class VertexCountTokensRequest(Strict):
    contents: list[Content] = msgspec.field(default_factory=list)
    system_instruction: Content | None = None
    tools: list[Tool] = msgspec.field(default_factory=list)
    generation_config: GenerationConfig | None = None
    model: str | None = None


def count_tokens(vendor: Gemini, seed: int, request: Request, target: Target) -> Work:
    """Nothing is billed for it.

    Raises: Refusal.
    """
    model, spec = split_model(target.model)
    vendor.check_model(model, "countTokens")
    body = vendor.body(request)
    asked = _vertex(body) if vendor.platform is VERTEX else _developer(body, target.model)
    tally = Tally(seed, vendor.name, model)
    conversation = vendor.heard(asked, tally, traits_of(model), whole=False)
    for function in declared(asked):
        tool_of(function, tally)

    def render(faults: Faults) -> list[Frame]:
        total = tally.tokens if faults.input is None else faults.input
        counts: dict[str, Any] = {
            "totalTokens": total,
            "promptTokensDetails": token_details(total, conversation.modalities),
        }
        if faults.cached:
            counts["cachedContentTokenCount"] = faults.cached
        return [Frame(_ENCODE(counts))]

    return Work(model=target.model, fault_spec=spec, content_type=JSON, render=render)


def _developer(body: Any, model: str) -> GenerateContentRequest:
    asked = _converted(body, CountTokensRequest)
    whole = asked.generate_content_request
    if whole is None:
        return GenerateContentRequest(contents=asked.contents)
    if asked.contents:
        raise refuse("Only one of contents and generate_content_request may be set.")
    if (whole.model or "").removeprefix("models/") not in {model, split_model(model)[0]}:
        raise refuse("* CountTokensRequest.generate_content_request.model: must be the model of the path.")
    return whole


def _vertex(body: Any) -> GenerateContentRequest:
    asked = _converted(body, VertexCountTokensRequest)
    return GenerateContentRequest(
        contents=asked.contents, system_instruction=asked.system_instruction, tools=asked.tools
    )


def _converted(body: Any, kind: type[T]) -> T:
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        raise malformed(error, "CountTokensRequest") from error
