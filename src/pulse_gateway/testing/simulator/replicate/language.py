"""Language models and their inputs.

Source: the pages `https://replicate.com/OWNER/NAME/api` of openai/gpt-4.1-nano, gpt-5-nano, gpt-5.1, gpt-5-structured,
anthropic/claude-4-sonnet and claude-4.5-haiku, google/gemini-2.5-flash and gemini-3-flash, meta/meta-llama-3.1-405b-instruct (read 2026-11-24);
those of Llama 4 and DeepSeek were not to be had: what they take is what such models take there
"""

from __future__ import annotations

from typing import Any

from pulse_gateway.testing.simulator.replicate.inputs import Input, Model

__all__ = ["LANGUAGE_MODELS"]

_TEXT = Input()
_LIST = Input(type="array")
_FLAG = Input(type="boolean")
_FILES = Input(type="uris")
_COUNT = Input(type="integer", least=1)
_HEAT = Input(type="number", least=0, most=2)
_SHARE = Input(type="number", least=0, most=1)
_PENALTY = Input(type="number", least=-2, most=2)


def _words(*words: str) -> Input:
    return Input(choices=words)


_GPT: dict[str, Input] = {
    "prompt": _TEXT, "system_prompt": _TEXT, "messages": _LIST, "image_input": _FILES, "max_completion_tokens": _COUNT,
}  # fmt: skip
_SAMPLED = {
    **_GPT, "temperature": _HEAT, "top_p": _SHARE, "presence_penalty": _PENALTY, "frequency_penalty": _PENALTY,
}  # fmt: skip
_GPT_5 = {
    **_GPT,
    "reasoning_effort": _words("minimal", "low", "medium", "high"),
    "verbosity": _words("low", "medium", "high"),
}
_GPT_5_1 = {**_GPT_5, "reasoning_effort": _words("none", "low", "medium", "high")}
_STRUCTURED = {
    "model": _words("gpt-5", "gpt-5-mini", "gpt-5-nano"), "prompt": _TEXT, "instructions": _TEXT, "input_item_list": _LIST,
    "image_input": _FILES, "reasoning_effort": _GPT_5["reasoning_effort"], "verbosity": _GPT_5["verbosity"],
    "enable_web_search": _FLAG, "simple_schema": _LIST, "json_schema": Input(type="object"), "tools": _LIST,
    "max_output_tokens": _COUNT, "previous_response_id": _TEXT,
}  # fmt: skip
_CLAUDE = {
    "prompt": Input(required=True), "system_prompt": _TEXT, "image": Input(type="uri"),
    "max_tokens": Input(type="integer", least=1024, most=64_000),
    "max_image_resolution": Input(type="number", least=0.001, most=2), "extended_thinking": _FLAG,
    "thinking_budget_tokens": Input(type="integer", least=1024, most=100_000),
}  # fmt: skip
_HAIKU = {
    "prompt": Input(required=True), "system_prompt": _TEXT, "max_tokens": Input(type="integer", least=1, most=8192),
}  # fmt: skip
_GEMINI = {
    "prompt": Input(required=True), "images": _FILES, "videos": _FILES, "system_instruction": _TEXT, "temperature": _HEAT,
    "top_p": _SHARE, "max_output_tokens": Input(type="integer", least=1, most=65_535),
}  # fmt: skip
_GEMINI_2 = {
    **_GEMINI, "thinking_budget": Input(type="integer", least=0, most=24_576), "dynamic_thinking": _FLAG,
}  # fmt: skip
_GEMINI_3 = {
    **_GEMINI, "audio": Input(type="uri"), "video_fps": Input(type="number", least=0.1, most=60),
    "thinking_level": _words("none", "low", "high"),
}  # fmt: skip
_OPEN = {
    "prompt": _TEXT, "max_tokens": _COUNT, "temperature": _HEAT, "top_p": _SHARE, "presence_penalty": _PENALTY,
    "frequency_penalty": _PENALTY,
}  # fmt: skip
_LLAMA = {
    "prompt": _TEXT, "system_prompt": _TEXT, "prompt_template": _TEXT, "stop_sequences": _TEXT, "max_tokens": _COUNT,
    "min_tokens": Input(type="integer", least=-1), "temperature": Input(type="number", least=0, most=5), "top_p": _SHARE,
    "top_k": Input(type="integer", least=-1), "presence_penalty": Input(type="number"),
    "frequency_penalty": Input(type="number"), "seed": Input(type="integer"),
}  # fmt: skip


def _text(name: str, inputs: dict[str, Input], **more: Any) -> Model:
    return Model(name=name, shape="text", inputs=inputs, **more)


LANGUAGE_MODELS = (
    _text("openai/gpt-5", _GPT_5, reasons=True),
    _text("openai/gpt-5-mini", _GPT_5, reasons=True),
    _text("openai/gpt-5-nano", _GPT_5, reasons=True),
    _text("openai/gpt-5.1", _GPT_5_1, reasons=True),
    Model(name="openai/gpt-5-structured", shape="structured", inputs=_STRUCTURED, reasons=True),
    _text("openai/gpt-4.1", _SAMPLED),
    _text("openai/gpt-4.1-mini", _SAMPLED),
    _text("anthropic/claude-4-sonnet", _CLAUDE),
    _text("anthropic/claude-4.5-haiku", _HAIKU),
    _text("google/gemini-2.5-flash", _GEMINI_2),
    _text("google/gemini-3-flash", _GEMINI_3),
    _text("meta/llama-4-maverick-instruct", _OPEN),
    _text("meta/meta-llama-3-70b-instruct", _LLAMA),
    _text("meta/meta-llama-3.1-405b-instruct", _LLAMA),
    _text("deepseek-ai/deepseek-r1", _OPEN, thinks_aloud=True),
)
