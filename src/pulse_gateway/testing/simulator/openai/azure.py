"""Azure OpenAI: the same models behind deployments, with filter results, other headers and a front door of its own.

A deployment has the rules of the model whose name it bears. Steering: `code=content_filter` is the refusal of a prompt,
`finish=content_filter` an answer that was cut.
Source: https://learn.microsoft.com/azure/ai-foundry/openai/reference and /openai/concepts/content-filter (read 2026-11-24),
openai 3.54.0 (lib/azure.py)
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import msgspec

from pulse_gateway.testing.simulator.answer import Answer
from pulse_gateway.testing.simulator.config import Config
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.openai.body import json_body
from pulse_gateway.testing.simulator.openai.errors import injected, refuse
from pulse_gateway.testing.simulator.openai.operations import Operations, broken_event, operation_error_frame
from pulse_gateway.testing.simulator.openai.vendor import OpenAI
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.vendor import Chat, Frame, Refusal, Request, Target

__all__ = ["Azure", "AzureResponses"]

_ENCODE = msgspec.json.encode
_DECODE = msgspec.json.decode
_DEPLOYED = re.compile(r"/openai/deployments/([^/]+)/(.+)")
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?")
_V1 = "/openai/v1/"
_CHAT = "chat/completions"
_SCOPED = ("embeddings", "audio/", "images/")  # what a deployment's path offers beside chat
_NOT_OFFERED = ("moderations",)
_DATA = b"data: "
_SAFE = {
    "hate": {"filtered": False, "severity": "safe"},
    "self_harm": {"filtered": False, "severity": "safe"},
    "sexual": {"filtered": False, "severity": "safe"},
    "violence": {"filtered": False, "severity": "safe"},
}
_FILTERED = {**_SAFE, "violence": {"filtered": True, "severity": "medium"}}
_PROMPT_RESULTS = [
    {"prompt_index": 0, "content_filter_results": {**_SAFE, "jailbreak": {"filtered": False, "detected": False}}}
]


class Azure:
    """Everything but Responses, whose headers are different."""

    name = "azure"

    def __init__(self, seed: int, config: Config) -> None:
        self._openai = OpenAI(seed, config)
        self._operations = Operations(seed, config)
        self._accepted = frozenset(config.keys.accepted)
        self._limits = config.rate_limits

    def route(self, request: Request) -> Target | None:
        path = request.path
        if not path.startswith("/openai/") or "/responses" in path:
            return None
        if found := _DEPLOYED.fullmatch(path):
            deployment, rest = found.group(1), found.group(2)
            offered = rest == _CHAT or rest.startswith(_SCOPED)
        else:
            deployment, rest = "", "models" if path == "/openai/models" else path.removeprefix(_V1)
            offered = rest != path and rest not in _NOT_OFFERED
        target = self._target(request.method, rest, deployment) if offered else None
        return target or Target("unknown path", deployment)

    def admit(self, request: Request, target: Target) -> None:
        if target.operation == "unknown path":
            raise Refusal(404, {"code": "404", "message": "Resource not found"})
        key = request.headers.get("api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        if not key or key == "wrong" or (self._accepted and key not in self._accepted):
            sentence = (
                "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key "
                "for an active subscription and use a correct regional API endpoint for your resource."
            )
            raise Refusal(401, {"code": "401", "message": sentence})
        version = request.query.get("api-version")
        if version is None and not request.path.startswith(_V1):
            raise Refusal(404, {"code": "404", "message": "Resource not found"})
        if version not in {None, "preview", "latest", "v1"} and not _VERSION.fullmatch(str(version)):
            raise Refusal(400, {"code": "BadRequest", "message": "API version not supported"})
        if target.operation == "wrong method":
            raise Refusal(405, {"code": "405", "message": "Method not allowed"})

    def work(self, request: Request, target: Target) -> Work | Chat:
        if target.operation == "models":
            models = self._openai.models(Target("models"))
            return Work(model="", content_type="application/json", render=lambda faults: [Frame(models)])
        if target.operation != "chat":
            return self._operations.work(request, target)
        body = _ENCODE(json_body(request, target.model))
        chat = self._openai.read(msgspec.structs.replace(request, body=body), target)
        return msgspec.structs.replace(chat, render=partial(_render, chat))

    def head(self, request_id: str) -> tuple[tuple[str, str], ...]:
        limits = self._limits
        return (
            ("apim-request-id", request_id.removeprefix("req_")),
            ("x-request-id", request_id),
            ("x-ms-region", "Sweden Central"),
            ("x-ratelimit-limit-requests", str(limits.requests)),
            ("x-ratelimit-remaining-requests", str(limits.requests_remaining)),
            ("x-ratelimit-limit-tokens", str(limits.tokens)),
            ("x-ratelimit-remaining-tokens", str(limits.tokens_remaining)),
        )

    def invalid(self, message: str) -> Refusal:
        return refuse(message)

    def injected(self, faults: Faults) -> Refusal:
        """What the front door says for 429 and 5xx has no `type`."""
        refusal = injected(faults)
        if faults.code == "content_filter":
            refusal.error = _filtered_prompt()
        elif refusal.status == 429:
            sentence = "Requests to the operation have exceeded the call rate limit. Please retry after 2 seconds."
            refusal.error = {"code": "429", "message": sentence}
        elif refusal.status in {502, 503, 504}:
            refusal.error = {"statusCode": refusal.status, "message": "The service is temporarily unavailable."}
        return refusal

    def envelope(self, refusal: Refusal, request_id: str, target: Target) -> bytes:
        error = refusal.error
        if "statusCode" in error:
            return _ENCODE(error)
        if error.get("code") == "model_not_found":
            sentence = (
                "The API deployment for this resource does not exist. If you created the deployment within the last 5 "
                "minutes, please wait a moment and try again."
            )
            error = {"code": "DeploymentNotFound", "message": sentence}
        return _ENCODE({"error": error})

    def error_frame(self, refusal: Refusal, request_id: str, target: Target, *, is_first: bool) -> bytes:
        if target.operation == "chat":
            return _DATA + self.envelope(refusal, request_id, target) + b"\n\n"
        return operation_error_frame(refusal, target.operation)

    def break_frame(self, frame: bytes) -> bytes:
        return broken_event(frame)

    def reset(self) -> None:
        self._operations.reset()

    def _target(self, method: str, path: str, deployment: str) -> Target | None:
        if path == _CHAT:
            return Target("chat" if method == "POST" else "wrong method", deployment)
        if path == "models":
            return Target("models" if method == "GET" else "wrong method")
        return self._operations.target(method, path, deployment)


class AzureResponses(Azure):
    """`/openai/v1/responses`, and `/openai/responses?api-version=`: never under a deployment."""

    def route(self, request: Request) -> Target | None:
        path = request.path
        if not path.startswith(("/openai/responses", "/openai/v1/responses")):
            return None
        rest = path.removeprefix(_V1).removeprefix("/openai/")
        return self._target(request.method, rest, "") or Target("unknown path")

    def head(self, request_id: str) -> tuple[tuple[str, str], ...]:
        """Limits are not told here."""
        unknown = {"x-ratelimit-limit-requests": "-1", "x-ratelimit-limit-tokens": "-1"}
        unknown |= {"x-ratelimit-remaining-requests": "0", "x-ratelimit-remaining-tokens": "0"}
        return tuple((name, unknown.get(name, value)) for name, value in super().head(request_id))


def _filtered_prompt() -> dict[str, object]:
    sentence = (
        "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify "
        "your prompt and retry."
    )
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": _FILTERED}
    return {
        "message": sentence,
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": inner,
    }


def _render(chat: Chat, answer: Answer, faults: Faults) -> list[Frame]:
    """OpenAI's answer with filter results; a stream begins with those of the prompt, in a chunk of their own."""
    frames = chat.render(answer, faults)
    if not chat.stream:
        reply: dict[str, Any] = _DECODE(frames[0].data)
        reply["choices"] = [_marked(choice) for choice in reply["choices"]]
        reply["prompt_filter_results"] = _PROMPT_RESULTS
        frames[0].data = _ENCODE(reply)
        return frames
    for frame in frames:
        if frame.data.startswith(b"data: {"):
            chunk: dict[str, Any] = _DECODE(frame.data[len(_DATA) :])
            chunk["choices"] = [_marked(choice) for choice in chunk["choices"]]
            frame.data = _DATA + _ENCODE(chunk) + b"\n\n"
    first = {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": _PROMPT_RESULTS}
    return [Frame(_DATA + _ENCODE(first) + b"\n\n"), *frames]


def _marked(choice: dict[str, Any]) -> dict[str, Any]:
    results = _FILTERED if choice["finish_reason"] == "content_filter" else _SAFE
    return {**choice, "content_filter_results": results}
