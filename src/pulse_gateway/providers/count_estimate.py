"""Counting the tokens of a prompt for models whose vendor does not: an offer that asks nobody."""

from __future__ import annotations

from pulse_gateway.errors import UnsupportedParameter
from pulse_gateway.providers.offer import OfferCall, Steps
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.chat import ChatRequest
from pulse_gateway.types.token_counts import TokenCount
from pulse_gateway.wire.refusals import refuse_extra
from pulse_gateway.wire.token_counts.counted import counted
from pulse_gateway.wire.token_counts.estimate import estimate_count

__all__ = ["ESTIMATE", "EstimatedCount"]


class EstimatedCount:
    dialect: str | None = None

    def check(self, request: ChatRequest, deployment: Deployment, /) -> tuple[str, ...]:
        if deployment.model.operations and "chat" not in deployment.model.operations:
            raise UnsupportedParameter(f"{deployment.name} has no chat whose tokens could be counted", param="model")
        refuse_extra(request.extra, deployment.model)
        return (*counted(request)[1], *request.hints)

    def steps(self, request: ChatRequest, call: OfferCall, /) -> Steps[TokenCount]:
        yield from ()  # nobody is asked
        return TokenCount(input_tokens=estimate_count(request), estimated=True)


ESTIMATE = EstimatedCount()
