"""Every surface, in the order in which paths are offered to them."""

from __future__ import annotations

from pulse_gateway.testing.simulator.anthropic.surface import AnthropicSurface
from pulse_gateway.testing.simulator.bedrock.surface import Bedrock
from pulse_gateway.testing.simulator.compatible.vendors import COMPATIBLE
from pulse_gateway.testing.simulator.gemini.interactions.surface import Interactions
from pulse_gateway.testing.simulator.gemini.surface import GeminiSurface
from pulse_gateway.testing.simulator.openai.azure import Azure, AzureResponses
from pulse_gateway.testing.simulator.openai.surface import OpenAISurface
from pulse_gateway.testing.simulator.replicate.surface import Replicate
from pulse_gateway.testing.simulator.stability.surface import Stability
from pulse_gateway.testing.simulator.surface import MakeSurface
from pulse_gateway.testing.simulator.vertex.surface import Vertex

__all__ = ["SURFACES"]

SURFACES: tuple[MakeSurface, ...] = (
    Replicate,
    OpenAISurface,
    Azure,
    AzureResponses,
    GeminiSurface,
    Interactions,
    Vertex,
    Stability,
    Bedrock,
    AnthropicSurface,
    *COMPATIBLE,
)
