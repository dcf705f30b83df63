"""Every member that the official SDKs can send has a fate with every other vendor: said, left out and reported, or refused by name."""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest
from anthropic.types import message_create_params
from google.genai import types as genai
from openai.types.chat import completion_create_params
from translation_harness import deployment, has_path, sent

from pulse_gateway.errors import UnsupportedParameter

USER = {"role": "user", "content": "hi"}
TURN = {"role": "user", "parts": [{"text": "hi"}]}
LEAST: dict[str, dict[str, Any]] = {
    "openai.chat": {"model": "alias", "messages": [USER]},
    "anthropic.messages": {"model": "alias", "max_tokens": 4096, "messages": [USER]},
    "gemini": {"contents": [TURN]},
}
FUNCTION = {"type": "function", "function": {"name": "f"}}
TOOL = {"name": "f", "input_schema": {"type": "object"}}
DECLARED = {"functionDeclarations": [{"name": "f"}]}
SCHEMA = {"type": "object"}
GENERATION = "generationConfig."

# One letter for each other dialect, in the order of `OTHERS`: said, dropped and reported, refused.
OTHERS = {
    "openai.chat": ("openai.responses", "anthropic.messages", "gemini"),
    "anthropic.messages": ("openai.chat", "openai.responses", "gemini"),
    "gemini": ("openai.chat", "openai.responses", "anthropic.messages"),
}
Fields = dict[str, tuple[Any, str]]
OPENAI: Fields = {
    "audio": ({"format": "wav", "voice": "alloy"}, "rrr"),
    "frequency_penalty": (0.5, "rrs"),
    "function_call": ("auto", "rrr"),
    "functions": ([{"name": "f"}], "rrr"),
    "logit_bias": ({"1": 1}, "rrr"),
    "logprobs": (True, "srs"),
    "max_completion_tokens": (5, "sss"),
    "max_tokens": (5, "sss"),
    "metadata": ({"a": "b"}, "sdd"),
    "modalities": (["text", "audio"], "rrr"),
    "moderation": ({"model": "omni-moderation-latest"}, "rrr"),
    "n": (2, "rrs"),
    "parallel_tool_calls": (False, "sss"),  # without tools it says nothing
    "prediction": ({"type": "content", "content": "x"}, "ddd"),
    "presence_penalty": (0.5, "rrs"),
    "prompt_cache_key": ("k", "sdd"),
    "prompt_cache_options": ({"mode": "explicit"}, "srr"),
    "prompt_cache_retention": ("24h", "srr"),
    "reasoning_effort": ("low", "sss"),
    "response_format": ({"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}, "sdd"),
    "safety_identifier": ("u", "ssd"),
    "seed": (1, "rrs"),
    "service_tier": ("flex", "srr"),
    "stop": (["x"], "rss"),
    "store": (True, "rrr"),
    "stream": (True, "sss"),
    "stream_options": ({"include_obfuscation": False}, "ddd"),
    "temperature": (0.5, "sss"),
    "tool_choice": ("none", "sss"),
    "tools": ([FUNCTION], "sss"),
    "top_logprobs": (0, "sss"),
    "top_p": (0.5, "sss"),
    "user": ("u", "ssd"),
    "verbosity": ("low", "srr"),
    "web_search_options": ({}, "rrr"),
}
ANTHROPIC: Fields = {
    "cache_control": ({"type": "ephemeral", "ttl": "1h"}, "ddd"),
    "container": ("c", "rrr"),
    "context_management": ({"edits": []}, "rrr"),
    "diagnostics": ({"previous_message_id": "m"}, "rrr"),
    "inference_geo": ("us", "rrr"),
    "mcp_servers": ([{"type": "url", "url": "https://a.example", "name": "n"}], "rrr"),
    "metadata": ({"user_id": "u"}, "ssd"),
    "output_config": ({"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}}, "sss"),
    "service_tier": ("standard_only", "rrr"),
    "speed": ("fast", "rrr"),
    "stop_sequences": (["x"], "srs"),
    "system": ("s", "sss"),
    "temperature": (0.5, "sss"),
    "thinking": ({"type": "enabled", "budget_tokens": 1024}, "sss"),
    "tool_choice": ({"type": "auto"}, "sss"),
    "tools": ([TOOL], "sss"),
    "top_k": (3, "rrs"),
    "top_p": (0.5, "sss"),
    "user_profile_id": ("u", "rrr"),
    "workspace_id": ("w", "rrr"),
}
GEMINI: Fields = {
    "cachedContent": ("cachedContents/x", "rrr"),
    "continuationToken": ("t", "rrr"),
    "labels": ({"a": "b"}, "ddd"),
    "safetySettings": ([{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}], "rrr"),
    "serviceTier": ("flex", "rrr"),
    "store": (True, "rrr"),
    "systemInstruction": ({"parts": [{"text": "s"}]}, "sss"),
    "toolConfig": ({"retrievalConfig": {"languageCode": "ar"}}, "rrr"),
    "tools": ([DECLARED], "sss"),
    **{f"tools.{kind}": ({}, "rrr") for kind in ("googleSearch", "urlContext", "codeExecution", "googleMaps", "fileSearch", "computerUse")},
    "tools.mcpServers": ([{"name": "m"}], "rrr"),
    GENERATION + "audioTimestamp": (True, "rrr"),
    GENERATION + "audioTranscriptionConfig": ({"languageCodes": ["ar"]}, "rrr"),
    GENERATION + "candidateCount": (2, "srr"),
    GENERATION + "enableAffectiveDialog": (True, "rrr"),
    GENERATION + "enableEnhancedCivicAnswers": (True, "rrr"),
    GENERATION + "frequencyPenalty": (0.5, "srr"),
    GENERATION + "imageConfig": ({"aspectRatio": "1:1"}, "rrr"),
    GENERATION + "logprobs": (0, "sss"),
    GENERATION + "maxOutputTokens": (9, "sss"),
    GENERATION + "mediaResolution": ("MEDIA_RESOLUTION_LOW", "ddd"),
    GENERATION + "modelSelectionConfig": ({"featureSelectionPreference": "BALANCED"}, "rrr"),
    GENERATION + "presencePenalty": (0.5, "srr"),
    GENERATION + "responseFormat": ({"text": {}}, "rrr"),
    GENERATION + "responseLogprobs": (True, "ssr"),
    GENERATION + "responseMimeType": ("application/json", "ssr"),
    GENERATION + "responseModalities": (["IMAGE"], "rrr"),
    GENERATION + "routingConfig": ({"autoMode": {}}, "rrr"),
    GENERATION + "seed": (1, "srr"),
    GENERATION + "speechConfig": ({"languageCode": "ar"}, "rrr"),
    GENERATION + "stopSequences": (["x"], "srs"),
    GENERATION + "temperature": (0.5, "sss"),
    GENERATION + "thinkingConfig": ({"thinkingBudget": 1024}, "sss"),
    GENERATION + "topK": (3, "rrs"),
    GENERATION + "topP": (0.5, "sss"),
    GENERATION + "translationConfig": ({"targetLanguageCode": "ar"}, "rrr"),
}  # fmt: skip
NEEDED = {"model", "messages", "max_tokens", "betas", "contents"}
# Together with another member alone: schemas beside their media type.
TOGETHER = {"responseSchema", "responseJsonSchema"}
FIELDS = {"openai.chat": OPENAI, "anthropic.messages": ANTHROPIC, "gemini": GEMINI}


def test_no_member_of_the_sdks_is_forgotten() -> None:
    openai = set(get_type_hints(completion_create_params.CompletionCreateParamsBase)) - NEEDED
    assert openai | {"stream", "max_tokens"} == set(OPENAI)
    anthropic = set(get_type_hints(message_create_params.MessageCreateParamsBase)) - NEEDED
    assert anthropic <= set(ANTHROPIC)
    config = {genai.GenerationConfig.model_fields[name].alias or name for name in genai.GenerationConfig.model_fields}
    assert config - TOGETHER <= {name.removeprefix(GENERATION) for name in GEMINI}


@pytest.mark.parametrize(
    ("client", "field"), [(client, field) for client, fields in FIELDS.items() for field in fields]
)
def test_every_member_is_said_reported_or_refused_by_name(client: str, field: str) -> None:
    value, fates = FIELDS[client][field]
    body = LEAST[client] | _placed(field, value)
    if field == "stream_options":
        body["stream"] = True
    if field == "tool_choice":
        body["tools"] = [FUNCTION if client == "openai.chat" else TOOL]
    for upstream, wanted in zip(OTHERS[client], fates, strict=True):
        try:
            dropped = sent(client, body, deployment(upstream)).dropped
        except UnsupportedParameter as error:
            assert wanted == "r", (upstream, error.param)
            assert error.param is not None
            assert has_path(body, error.param)
            assert field.rpartition(".")[2] in error.param
        else:
            assert wanted == ("d" if dropped else "s"), (upstream, dropped)
            assert all(field in path for path in dropped)


def _placed(field: str, value: Any) -> dict[str, Any]:
    outer, dot, inner = field.partition(".")
    if not dot:
        return {field: value}
    return {outer: [{inner: value}] if outer == "tools" else {inner: value}}
