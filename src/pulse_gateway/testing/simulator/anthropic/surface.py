"""Anthropic beside Messages: the count of a request's tokens.

Source: https://platform.claude.com/docs/en/api/messages-count-tokens (read 2026-11-24) and anthropic 2.12.0
"""

from __future__ import annotations

import msgspec

from pulse_gateway.testing.simulator.anthropic.models import traits_of
from pulse_gateway.testing.simulator.anthropic.schema import CountRequest, MessagesRequest
from pulse_gateway.testing.simulator.anthropic.vendor import Anthropic
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.vendor import Frame, Request, Target

__all__ = ["AnthropicSurface"]

_DECODER = msgspec.json.Decoder(CountRequest)


class AnthropicSurface(Anthropic):
    """What is counted is refused for the same reasons as what is answered."""

    def route(self, request: Request) -> Target | None:
        if request.path != "/v1/messages/count_tokens":
            return None
        return Target("count_tokens" if request.method == "POST" else "wrong method")

    def work(self, request: Request, target: Target) -> Work:
        asked = self.decode(request, _DECODER)
        model, spec = split_model(asked.model)
        whole = MessagesRequest(max_tokens=traits_of(model).max_tokens, **msgspec.structs.asdict(asked))
        tokens = self.understand(whole, model, request).prompt.input_tokens

        def render(faults: Faults) -> list[Frame]:
            return [Frame(msgspec.json.encode({"input_tokens": tokens if faults.input is None else faults.input}))]

        return Work(model=asked.model, content_type="application/json", fault_spec=spec, render=render)

    def reset(self) -> None:
        """Nothing is kept."""
