"""Where names lead that the configuration says nothing of: a vendor's prefix, and names that people use for media models. Pure.

Source: interface of the product for the prefixes; ai.google.dev/gemini-api/docs/models, cloud.google.com (Veo on Vertex) and
replicate.com/google for the models (read 2026-11-24).
"""

from __future__ import annotations

import re

from pulse_gateway.routing.targets import Target

__all__ = ["MEDIA_NAMES", "OTHER_NAMES", "SWITCHES", "media_targets", "vendor_of"]

_PREFIXES = (
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("text-embedding-3", "openai"),
    ("text-embedding-ada", "openai"),
    ("tts-1", "openai"),
    ("whisper-1", "openai"),
    ("omni-moderation", "openai"),
    ("text-moderation", "openai"),
    ("dall-e", "openai"),
    ("sora-", "openai"),
    ("claude", "anthropic"),
    ("gemini", "google"),
    ("nano-banana", "google"),
    ("imagen-", "vertex"),
    ("veo3", "vertex"),
    ("veo-3", "vertex"),
    ("echo", "echo"),
)
OTHER_NAMES = {"gemini": "google", "x-ai": "xai"}
SWITCHES = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "google": "GEMINI_API_KEY",
    "groq": "GROQ_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY",
    "xai": "XAI_API_KEY",
    "together": "TOGETHER_API_KEY",
    "fireworks": "FIREWORKS_API_KEY",
    "cerebras": "CEREBRAS_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
    "perplexity": "PERPLEXITY_API_KEY",
    "azure": "AZURE_OPENAI_API_KEY and AZURE_OPENAI_ENDPOINT",
    "vertex": "GOOGLE_CLOUD_PROJECT and GOOGLE_APPLICATION_CREDENTIALS",
    "bedrock": "AWS_BEARER_TOKEN_BEDROCK and AWS_REGION",
    "replicate": "REPLICATE_API_TOKEN",
    "stability": "STABILITY_API_KEY",
    "ollama": "OLLAMA_BASE_URL",
    "vllm": "VLLM_BASE_URL",
    "lmstudio": "LMSTUDIO_BASE_URL",
}
"""The variable that switches a provider on."""

_BANANAS = {  # Google's model, Replicate's, Stability's
    "nano-banana": ("gemini-3.1-flash-image", "google/nano-banana-2", "core"),
    "nano-banana-2": ("gemini-3.1-flash-image", "google/nano-banana-2", "core"),
    "nano-banana-2-lite": ("gemini-3.1-flash-lite-image", "google/nano-banana", "core"),
    "nano-banana-2.1": ("gemini-nano-banana-2.1", "google/nano-banana-2", "core"),
    "nano-banana-pro": ("gemini-3-pro-image", "google/nano-banana-pro", "ultra"),
}
_VEOS = {  # Google's model, Replicate's. Stability makes no video, as far as is known.
    "": ("veo-3.1-generate-001", "google/veo-3.1"),
    "fast": ("veo-3.1-fast-generate-001", "google/veo-3.1-fast"),
    "lite": ("veo-3.1-lite-generate-001", "google/veo-3.1-fast"),
}
_VEO = re.compile(r"veo-?3(?:\.\d+)?(?:-(?P<size>fast|lite))?(?P<exact>-generate-\w+)?")

MEDIA_NAMES = (
    *_BANANAS,
    *(f"{veo}-{size}".rstrip("-") for size in _VEOS for veo in ("veo3", "veo-3", "veo-3.1")),
)
"""Names of images and video models that need no vendor's name before them."""


def vendor_of(model: str) -> str | None:
    """The provider that a name without one belongs to, by its beginning."""
    return next((provider for prefix, provider in _PREFIXES if model.startswith(prefix)), None)


def media_targets(model: str) -> tuple[Target, ...]:
    """Who is asked for `nano-banana…` and `veo3…`, one after the other, as far as they are switched on; () for any other name.

    Google's Developer API has no Veo: that is asked of Vertex. An exact name, `veo-3.1-fast-generate-001`, is left as it is there.
    """
    if model.startswith("nano-banana"):
        google, replicate, stability = _BANANAS.get(model) or (model, f"google/{model}", "core")
        return (
            Target(provider="google", model=google),
            Target(provider="vertex", model=google),
            Target(provider="replicate", model=replicate),
            Target(provider="stability", model=stability),
        )
    if (found := _VEO.match(model)) is not None:
        google, replicate = _VEOS[found["size"] or ""]
        return (
            Target(provider="vertex", model=model if found["exact"] else google),
            Target(provider="replicate", model=replicate),
        )
    return ()
