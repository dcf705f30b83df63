"""Vectors of texts by models at Replicate: a prediction for all of them. It counts no tokens.

Source: as `replicate_models`
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from pulse_gateway.errors import UpstreamProtocolError
from pulse_gateway.providers.offer import OfferCall, Steps
from pulse_gateway.providers.replicate_models import EMBEDS, Embeds, known, version_name
from pulse_gateway.providers.replicate_runs import Runs
from pulse_gateway.providers.replicate_videos import ReplicateAddress
from pulse_gateway.providers.tab import Tab
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.embeddings import EmbeddingReply, EmbeddingRequest
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.foreign_json import not_of_protocol
from pulse_gateway.wire.refusals import refuse_extra, unsupported

__all__ = ["ReplicateEmbeddings"]


class ReplicateEmbeddings:
    """An `Offer` of `embeddings`."""

    dialect = None

    def __init__(self, vendor: ReplicateAddress) -> None:
        self._runs = Runs(vendor)

    def check(self, request: EmbeddingRequest, deployment: Deployment, /) -> tuple[str, ...]:
        model = deployment.model
        known(EMBEDS, deployment, "embed texts")
        refuse_extra(request.extra, model)
        if request.has_tokens:
            raise unsupported(model, "input", "takes texts, not tokens")
        if any(each.title is not None for each in request.input):
            raise unsupported(model, "input", "takes no title beside a text")
        if request.dimensions is not None:
            raise unsupported(model, "dimensions", "has vectors of one length")
        if request.task is not None:
            raise unsupported(model, "task", "is not told what its vectors are for")
        return () if request.user is None else ("user",)

    def steps(self, request: EmbeddingRequest, call: OfferCall, /) -> Steps[EmbeddingReply]:
        row = known(EMBEDS, call.deployment, "embed texts")
        texts = [each.text for each in request.input]
        asked: dict[str, Any] = {row.texts: msgspec.json.encode(texts).decode(), **row.fixed}
        prediction = yield from self._runs.ended(asked, call, by_version=version_name(row, call.deployment))
        if not prediction.succeeded:
            yield Tab().add(Usage(input_tokens=0))
            raise prediction.failure("vector")
        vectors = _vectors(row, prediction.output)
        if len(vectors) != len(texts):
            raise not_of_protocol("it has not one vector for each text")
        return EmbeddingReply(model=request.model, vectors=vectors)


def _vectors(row: Embeds, output: Any) -> tuple[list[float], ...]:
    """Raises: UpstreamProtocolError."""
    if row.member is not None and isinstance(output, list):
        output = [each.get(row.member) if isinstance(each, dict) else None for each in output]
    try:
        vectors = msgspec.convert(output, tuple[list[float], ...])
    except msgspec.ValidationError as error:
        raise UpstreamProtocolError(f"the provider's prediction is no list of vectors: {error}") from error
    if not all(vector and all(map(math.isfinite, vector)) for vector in vectors):
        raise not_of_protocol("a vector holds something that is no number")
    if len(set(map(len, vectors))) > 1:
        raise not_of_protocol("its vectors are not of one length")
    return vectors
