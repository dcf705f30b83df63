"""What language models at Replicate take, by whose they are: every model there has inputs of its own.

A family names its inputs for what requests can say; what has no name there it cannot be asked. `system`, `messages`, `images`, `audio`
and `verbosity` are names of ours beside the neutral fields.

Source: the pages `https://replicate.com/OWNER/NAME/api` of openai/gpt-4.1-nano, gpt-4o-mini, gpt-5-nano, gpt-5.1, gpt-5-structured and
o4-mini, anthropic/claude-4-sonnet and claude-4.5-haiku, google/gemini-2.5-flash and gemini-3-flash, meta/meta-llama-3.1-405b-instruct and
llama-2-70b-chat (read 2026-11-24). Of the others (gpt-oss, Llama 4, DeepSeek, Qwen, Kimi, Grok, Granite) no page was to be had: that they take
`prompt`, `max_tokens` and the usual sampling, and which of them have no `system_prompt`, is unconfirmed. So are `top_k` and penalties
of Llama 2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

import msgspec

from pulse_gateway.types.catalog import Model

__all__ = ["FAMILIES", "Family", "families_known", "family_of"]

_VERSION = re.compile(r":[0-9a-f]{64}\Z")
_SAMPLING = {"temperature": "temperature", "top_p": "top_p"}
_PENALTIES = {"presence_penalty": "presence_penalty", "frequency_penalty": "frequency_penalty"}
_PLAIN = {"max_output_tokens": "max_tokens", **_SAMPLING, **_PENALTIES}
_OPENAI = {
    "system": "system_prompt",
    "messages": "messages",
    "images": "image_input",
    "max_output_tokens": "max_completion_tokens",
}
_OPENAI_THINKING = {**_OPENAI, "reasoning": "reasoning_effort"}
_CLAUDE = {"system": "system_prompt", "max_output_tokens": "max_tokens"}
_GEMINI = {"system": "system_instruction", "images": "images", "max_output_tokens": "max_output_tokens", **_SAMPLING}
_NO_OTHER = r"(?!.*(?:image|audio|tts|transcribe|embed|guard|live))"  # than models that chat


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """`models` matches `owner/name`. `names`: what it can be asked → the name of the input.

    `thinking`: how an effort or a budget is said. `efforts`: the words for it that are known; None: any is passed on. `most_images`: of a
    request; None: no bound. `least_limit`: the lowest limit on the answer, in tokens. `structured`: it is OpenAI's Responses inside, and takes a JSON Schema.
    """

    title: str
    models: re.Pattern[str]
    names: Mapping[str, str]
    thinking: Literal["effort", "claude", "gemini"] = "effort"
    efforts: tuple[str, ...] | None = None
    most_images: int | None = None
    least_limit: int = 1
    structured: bool = False


def _family(title: str, models: str, names: Mapping[str, str], **more: object) -> Family:
    return Family(title=title, models=re.compile(_NO_OTHER + models), names=names, **more)  # type: ignore[arg-type]


FAMILIES = (
    _family(
        "openai/gpt-5-structured",
        r"openai/gpt-5-structured",
        {
            **_OPENAI_THINKING,
            "system": "instructions",
            "messages": "input_item_list",
            "max_output_tokens": "max_output_tokens",
            "verbosity": "verbosity",
            "response_format": "json_schema",
        },
        efforts=("minimal", "low", "medium", "high"),
        structured=True,
    ),
    _family(
        "openai/gpt-5",
        r"openai/gpt-5(?:-mini|-nano)?",
        {**_OPENAI_THINKING, "verbosity": "verbosity"},
        efforts=("minimal", "low", "medium", "high"),
    ),
    _family(
        "openai/gpt-5.1",
        r"openai/gpt-5\.1",
        {**_OPENAI_THINKING, "verbosity": "verbosity"},
        efforts=("none", "low", "medium", "high"),
    ),
    _family("openai/gpt-5.2 and later", r"openai/gpt-[5-9][\w.-]*", {**_OPENAI_THINKING, "verbosity": "verbosity"}),
    _family("openai/o…", r"openai/o[1-9](?!-mini-2024)[\w-]*", _OPENAI_THINKING, efforts=("low", "medium", "high")),
    _family("openai/gpt-oss", r"openai/gpt-oss-[\w-]+", _PLAIN),
    _family("openai/gpt-4", r"openai/gpt-4[\w.-]*", {**_OPENAI, **_SAMPLING, **_PENALTIES}),
    _family("anthropic/claude-3.5, -4.5-haiku", r"anthropic/claude-(?:3\.5-haiku|4\.5-haiku)", _CLAUDE),
    _family(
        "anthropic/claude-3.5-sonnet", r"anthropic/claude-3\.5-sonnet", {**_CLAUDE, "images": "image"}, most_images=1
    ),
    _family(
        "anthropic/claude",
        r"anthropic/claude-[\w.-]+",
        {**_CLAUDE, "images": "image", "reasoning": "thinking_budget_tokens"},
        thinking="claude",
        most_images=1,
        least_limit=1024,
    ),
    _family(
        "google/gemini-2",
        r"google/gemini-2[\w.-]*",
        {**_GEMINI, "reasoning": "thinking_budget"},
        thinking="gemini",
        most_images=10,
    ),
    _family(
        "google/gemini-3 and later",
        r"google/gemini-[3-9][\w.-]*",
        {**_GEMINI, "audio": "audio", "reasoning": "thinking_level"},
        efforts=("low", "high"),
        most_images=10,
    ),
    _family("meta/llama-4", r"meta/llama-4-[\w-]+", _PLAIN),
    _family(
        "meta/llama-2, meta/llama-3 and ibm-granite, those for chat",
        r"meta/(?:meta-)?llama-[23][\w.]*-[\w-]*(?:instruct|chat)|ibm-granite/granite-[\w.-]+-instruct",
        {**_PLAIN, "system": "system_prompt", "top_k": "top_k", "stop": "stop_sequences"},
    ),
    _family(
        "deepseek-ai, qwen, moonshotai, xai",
        r"deepseek-ai/deepseek-(?:r|v)\d[\w.-]*|qwen/qwen[\w.-]*-(?:instruct|thinking)[\w-]*|moonshotai/kimi-k[\w.-]+|xai/grok-\d[\w.-]*",
        _PLAIN,
    ),
)
_ANY = _family("any other that the catalog says chats", r".*", {"max_output_tokens": "max_tokens", **_SAMPLING})


def family_of(model: Model) -> Family | None:
    """None: nobody knows that it chats."""
    if model.operations and "chat" not in model.operations:
        return None
    name = _VERSION.sub("", model.name)
    found = next((family for family in FAMILIES if family.models.fullmatch(name)), None)
    return found or (_ANY if model.operations else None)


def families_known() -> str:
    return ", ".join(family.title for family in FAMILIES)
