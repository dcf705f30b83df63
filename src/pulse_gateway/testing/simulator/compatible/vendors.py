"""Every vendor under `/as/`."""

from __future__ import annotations

from pulse_gateway.testing.simulator.compatible.deepseek import DeepSeek
from pulse_gateway.testing.simulator.compatible.fireworks import Fireworks
from pulse_gateway.testing.simulator.compatible.groq import Groq
from pulse_gateway.testing.simulator.compatible.hosted import Cerebras, Perplexity
from pulse_gateway.testing.simulator.compatible.local import VLLM, LMStudio, Ollama
from pulse_gateway.testing.simulator.compatible.mistral import Mistral
from pulse_gateway.testing.simulator.compatible.oddities import Oddities, Plain
from pulse_gateway.testing.simulator.compatible.openrouter import OpenRouter
from pulse_gateway.testing.simulator.compatible.together import Together
from pulse_gateway.testing.simulator.compatible.xai import XAI
from pulse_gateway.testing.simulator.surface import MakeSurface

__all__ = ["COMPATIBLE"]

COMPATIBLE: tuple[MakeSurface, ...] = (
    Groq,
    Mistral,
    DeepSeek,
    XAI,
    Together,
    Fireworks,
    Cerebras,
    OpenRouter,
    Perplexity,
    Ollama,
    VLLM,
    LMStudio,
    Plain,
    Oddities,
)
