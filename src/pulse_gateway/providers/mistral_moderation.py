"""Mistral's moderation: asked as OpenAI's is, of texts alone; answered with categories of its own and without a verdict.

`flagged` is what OpenAI calls so: one of the categories is met.
Source: https://docs.mistral.ai/api/endpoint/classifiers, https://docs.mistral.ai/capabilities/guardrailing (read 2026-11-24)
"""

from __future__ import annotations

import msgspec

from pulse_gateway.providers.compatible import MISTRAL
from pulse_gateway.providers.offer import OfferCall, Steps, ask
from pulse_gateway.providers.shape_offer import ShapeOffer
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.moderations import ModerationReply, ModerationRequest, ModerationResult
from pulse_gateway.types.token_counts import NOTHING_USED
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol
from pulse_gateway.wire.moderations import OpenAIModerations, texts_of
from pulse_gateway.wire.refusals import unsupported

__all__ = ["MODERATION", "MistralModeration"]

_CODEC = OpenAIModerations()
_SHAPE = ShapeOffer(MISTRAL, _CODEC.dialect)


class _Result(msgspec.Struct):
    categories: dict[str, bool]
    category_scores: dict[str, float]


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None


class _Answer(msgspec.Struct):
    results: list[_Result]
    id: str = ""
    model: str = ""
    usage: _Usage | None = None


_answer = msgspec.json.Decoder(_Answer).decode


class MistralModeration:
    dialect: str | None = None

    def check(self, request: ModerationRequest, deployment: Deployment, /) -> tuple[str, ...]:
        if texts_of(request) is None:
            raise unsupported(deployment.model, "input", "judges texts alone")
        return _CODEC.encode_request(request, deployment.model).dropped

    def steps(self, request: ModerationRequest, call: OfferCall, /) -> Steps[ModerationReply]:
        encoded = _CODEC.encode_request(request, call.deployment.model)
        answer = yield from ask(_SHAPE.forward(encoded.payload, call))
        read = from_provider(_answer, answer.body)
        if len(read.results) != len(request.input):
            raise not_of_protocol(f"{len(read.results)} results for {len(request.input)} inputs")
        tokens = None if read.usage is None else read.usage.prompt_tokens
        return ModerationReply(
            id=read.id,
            model=read.model,
            results=tuple(
                ModerationResult(
                    flagged=any(result.categories.values()),
                    categories=result.categories,
                    scores=result.category_scores,
                )
                for result in read.results
            ),
            usage=NOTHING_USED if tokens is None else Usage(input_tokens=tokens),
        )


MODERATION = MistralModeration()
