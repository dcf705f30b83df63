"""Mistral.

Source: https://docs.mistral.ai/api (read 2026-11-24)
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import msgspec

from pulse_gateway.testing.simulator.compatible.base import Chunk, Compatible, Told
from pulse_gateway.testing.simulator.compatible.mistral_media import MistralFiles, mistral_speech
from pulse_gateway.testing.simulator.config import Config
from pulse_gateway.testing.simulator.dice import Dice, identifier
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.openai.body import converted, json_body
from pulse_gateway.testing.simulator.openai.errors import injected, refuse
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.tokens import Tally
from pulse_gateway.testing.simulator.vendor import Chat, Frame, Refusal, Request, Target

__all__ = ["Mistral"]

_MEDIA = re.compile(r"/as/mistral/(?:v1/)?(?:conversations|files/(?P<file>[^/]+)/content)")
_CALL_ID = re.compile(r"[A-Za-z0-9]{9}")
_KNOWN = frozenset(
    {
        "frequency_penalty", "guardrails", "max_tokens", "messages", "metadata", "model", "n", "parallel_tool_calls",
        "prediction", "presence_penalty", "prompt_cache_key", "prompt_mode", "random_seed", "reasoning_effort",
        "response_format", "safe_prompt", "stop", "stream", "stream_options", "temperature", "tool_choice", "tools", "top_p",
    }
)  # fmt: skip
_EMBEDDING = frozenset({"encoding_format", "input", "metadata", "model", "output_dimension", "output_dtype"})
_CATEGORIES = {
    "sexual": "porn|nude",
    "hate_and_discrimination": "hate",
    "violence_and_threats": "kill|murder|bomb",
    "dangerous_and_criminal_content": "heroin|counterfeit",
    "selfharm": "suicide",
    "health": "diagnose",
    "financial": "invest",
    "law": "lawsuit",
    "pii": "passport number",
}
_WORDS = {name: re.compile(rf"\b(?:{words})\b") for name, words in _CATEGORIES.items()}


class ModerationRequest(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    input: str | list[str]


class Mistral(Compatible):
    """Thinking as a part of the content, call ids of nine characters, 422 for what it does not know."""

    name = "mistral"
    offers = frozenset({"embeddings", "moderation", "speech", "transcription"})
    extras = frozenset({"guardrails", "prompt_mode", "random_seed", "safe_prompt"})
    reasoners = "magistral"
    reasoning_field = None
    usage_in = "finish"
    listed: ClassVar[tuple[str, ...]] = (
        "mistral-large-latest",
        "mistral-medium-latest",
        "mistral-small-latest",
        "mistral-embed",
    )

    def __init__(self, seed: int, config: Config) -> None:
        super().__init__(seed, config)
        self._files = MistralFiles(seed)

    def reset(self) -> None:
        super().reset()
        self._files.reset()

    def route(self, request: Request) -> Target | None:
        found = _MEDIA.fullmatch(request.path)
        if found is None:
            return super().route(request)
        word, method = ("conversations", "POST") if found["file"] is None else ("file", "GET")
        return Target(word if request.method == method else "wrong method")

    def check(self, body: dict[str, Any], messages: list[dict[str, Any]]) -> None:
        for name in body:
            if name not in _KNOWN:
                raise _extra(["body", name])
        for at, message in enumerate(messages):
            role = message.get("role")
            if "name" in message and role != "tool":
                raise _extra(["body", "messages", at, role or "", "name"])
            if role == "assistant" and message.get("content") == "" and not message.get("tool_calls"):
                raise _refuse("Assistant message must have either content or tool_calls, but not none.")
            called = [call.get("id") for call in message.get("tool_calls") or () if isinstance(call, dict)]
            for call_id in (*called, *([message.get("tool_call_id")] if role == "tool" else [])):
                if not _CALL_ID.fullmatch(str(call_id)):
                    raise _refuse(f"Tool call id was {call_id} but must be a-z, A-Z, 0-9, with a length of 9.")
        for at, tool in enumerate(body.get("tools") or ()):
            function = tool.get("function", {}) if isinstance(tool, dict) else {}
            if "strict" in function:
                raise _extra(["body", "tools", at, "function", "strict"])
            if forbidden := _forbidden(function.get("parameters")):
                raise _refuse(f"Invalid tool schema: '{forbidden}' is not supported.")

    def take(self, request: Request, target: Target) -> Work | Chat:
        if target.operation == "conversations":
            return self._files.converse(json_body(request, ""))
        if target.operation == "file":
            return self._files.content(request.path.split("/")[-2])
        if target.operation == "speech":
            return mistral_speech(json_body(request, ""))
        if target.operation == "moderation":
            return _moderate(converted(json_body(request, ""), ModerationRequest), self._seed)
        if target.operation == "embeddings":
            body = json_body(request, "")
            for name in body:
                if name not in _EMBEDDING:
                    raise _extra(["body", name])
            body.pop("output_dtype", None)
            body.pop("metadata", None)
            if "output_dimension" in body:
                body["dimensions"] = body.pop("output_dimension")
            plain = msgspec.structs.replace(request, body=msgspec.json.encode(body))
            return self._operations.work(plain, target)
        return super().take(request, target)

    def plain(self, body: dict[str, Any]) -> dict[str, Any]:
        if body.get("tool_choice") == "any":
            body["tool_choice"] = "required"
        return body

    def plain_message(self, message: dict[str, Any]) -> dict[str, Any]:
        """Thinking that is replayed, `prefix`, and the name of a tool that answers."""
        message.pop("prefix", None)
        if message.get("role") == "tool":
            message.pop("name", None)
        content = message.get("content")
        if isinstance(content, list):
            message["content"] = [
                each for each in content if not (isinstance(each, dict) and each.get("type") == "thinking")
            ]
        return message

    def reasoning_tokens(self, body: dict[str, Any], model: str) -> int:
        asked = body.get("reasoning_effort") not in (None, "none") or body.get("prompt_mode") == "reasoning"
        return 32 if asked else super().reasoning_tokens(body, model)

    def message(self, message: dict[str, Any], reasoning: str) -> None:
        for name in ("refusal", "annotations"):
            message.pop(name, None)
        text = message["content"] or ""
        thinking = {"type": "thinking", "thinking": [{"type": "text", "text": reasoning}]}
        message["content"] = [thinking, {"type": "text", "text": text}] if reasoning else text
        message.setdefault("tool_calls", None)
        for call in message["tool_calls"] or ():
            call["id"] = _call_id(call["id"])

    def reasoning_delta(self, piece: str) -> dict[str, Any]:
        return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": piece}]}]}

    def chunks(self, chunks: list[Chunk], told: Told) -> None:
        for chunk in chunks:
            for choice in chunk.data["choices"]:
                delta = choice["delta"]
                delta.pop("refusal", None)
                if delta.get("content", "") is None or choice["finish_reason"] is not None:
                    delta["content"] = ""
                for call in delta.get("tool_calls") or ():
                    if "id" in call:
                        call["id"] = _call_id(call["id"])

    def injected(self, faults: Faults) -> Refusal:
        refusal = injected(faults)
        if refusal.status == 402:
            refusal.error["message"] = "Payment required: your account has no credit left."
        return refusal

    def refused(self, refusal: Refusal) -> Refusal:
        """What does not fit the schema is a 422 with its place."""
        error = refusal.error
        if error.get("code") not in {
            "unknown_parameter",
            "missing_required_parameter",
            "invalid_type",
            "invalid_value",
        }:
            return refusal
        where = re.findall(r"[^.\[\]]+", str(error.get("param") or ""))
        detail = {"type": error["code"], "loc": ["body", *where], "msg": error["message"]}
        return Refusal(422, {"detail": [detail]})

    def error_body(self, refusal: Refusal) -> Any:
        error = refusal.error
        if "detail" in error:
            return error
        kind = error.get("type") or "invalid_request_error"
        return {
            "object": "error",
            "message": error.get("message"),
            "type": kind,
            "param": None,
            "code": error.get("code"),
        }


def _extra(where: list[Any]) -> Refusal:
    detail = [{"type": "extra_forbidden", "loc": where, "msg": "Extra inputs are not permitted"}]
    return Refusal(422, {"detail": detail})


def _refuse(message: str) -> Refusal:
    return refuse(message, code="3051")


def _forbidden(schema: Any) -> str | None:
    """`$id` or `$schema`, wherever it stands."""
    if isinstance(schema, dict):
        for name, value in schema.items():
            if name in {"$id", "$schema"}:
                return str(name)
            if found := _forbidden(value):
                return found
    if isinstance(schema, list):
        return next((found for each in schema if (found := _forbidden(each))), None)
    return None


def _call_id(call_id: str) -> str:
    return identifier("", call_id.encode(), length=9)


def _moderate(request: ModerationRequest, seed: int) -> Work:
    model, spec = split_model(request.model)
    texts = [request.input] if isinstance(request.input, str) else request.input
    tally = Tally(seed, "mistral moderation", model)
    for text in texts:
        tally.text(text)

    def render(faults: Faults) -> list[Frame]:
        results = []
        for text in texts:
            dice = Dice(tally.digest, text)
            flagged = {
                name: name == faults.blocked or bool(words.search(text.lower())) for name, words in _WORDS.items()
            }
            scores = {name: (900 + dice.below(100) if yes else dice.below(100)) / 1000 for name, yes in flagged.items()}
            results.append({"categories": flagged, "category_scores": scores})
        return [
            Frame(msgspec.json.encode({"id": identifier("", tally.digest), "model": request.model, "results": results}))
        ]

    return Work(model=request.model, fault_spec=spec, content_type="application/json", render=render)
