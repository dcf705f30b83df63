"""Vertex AI behind the server's `Surface` face.

Source: https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest (read 2026-11-24) and google-genai 3.4.0
"""

from __future__ import annotations

import re

import msgspec

from pulse_gateway.testing.simulator.config import Config
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.gemini.counting import count_tokens
from pulse_gateway.testing.simulator.gemini.embedding import embed
from pulse_gateway.testing.simulator.gemini.errors import refuse
from pulse_gateway.testing.simulator.gemini.models import methods_of
from pulse_gateway.testing.simulator.gemini.pages import page
from pulse_gateway.testing.simulator.gemini.platforms import VERTEX
from pulse_gateway.testing.simulator.gemini.vendor import JSON, Gemini
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.vendor import Chat, Frame, Refusal, Request, Target
from pulse_gateway.testing.simulator.vertex.imagen import imagine
from pulse_gateway.testing.simulator.vertex.oauth import Tokens
from pulse_gateway.testing.simulator.vertex.text_embedding import embed_texts
from pulse_gateway.testing.simulator.vertex.veo import Videos

__all__ = ["Vertex"]

_ENCODE = msgspec.json.encode
_PATH = re.compile(
    r"/(?:v1|v1beta1)/(?:projects/[^/]+/locations/[^/]+/)?publishers/google/models(?:/(.+?))?(?::(\w+))?"
)
_METADATA = "/computeMetadata/v1/instance/service-accounts/default/token"
_OPERATIONS = {
    "generateContent": "chat",
    "streamGenerateContent": "chat",
    "countTokens": "count_tokens",
    "embedContent": "embeddings",
    "batchEmbedContents": "embeddings",
    "predict": "images",
    "predictLongRunning": "videos",
    "fetchPredictOperation": "poll",
}
_METHODS = {  # of models that only Vertex has, or that it has more for
    "imagen-": ("predict",),
    "veo-": ("predictLongRunning", "fetchPredictOperation"),
    "text-embedding-": ("predict",),
    "text-multilingual-embedding-": ("predict",),
    "gemini-embedding-001": ("predict", "embedContent", "batchEmbedContents", "countTokens"),
    "gemini-omni": (),
}


class Vertex(Gemini):
    platform = VERTEX

    def __init__(self, seed: int, config: Config) -> None:
        super().__init__(seed, config)
        self._tokens = Tokens(seed, self._accepted)
        self._videos = Videos(seed)

    def route(self, request: Request) -> Target | None:
        if request.path == "/token":
            return Target("token" if request.method == "POST" else "wrong method")
        if request.path == _METADATA:
            return Target("token" if request.method == "GET" else "wrong method")
        call = _PATH.fullmatch(request.path)
        if call is None:
            return None
        model, method = call.group(1) or "", call.group(2)
        if method is None:
            return Target("models" if request.method == "GET" else "wrong method", model, query=request.query)
        operation = _OPERATIONS.get(method, "unknown path")
        if method == "predict" and not model.startswith("imagen-"):
            operation = "embeddings"
        if request.method != "POST":
            operation = "wrong method"
        stream = method == "streamGenerateContent"
        return Target(operation, model, stream=stream, json_array=stream and request.query.get("alt") != "sse")

    def admit(self, request: Request, target: Target) -> None:
        """A bearer token, or, on paths without a project, an API key."""
        if target.operation == "token":
            return
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if target.operation in {"unknown path", "wrong method"} or (not token and "/projects/" not in request.path):
            super().admit(request, target)
            return
        if not token:
            raise _unauthenticated("CREDENTIALS_MISSING")
        if scheme.lower() != "bearer" or not self._tokens.is_good(token.strip()):
            raise _unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED")

    def work(self, request: Request, target: Target) -> Work | Chat:
        if target.operation == "token":
            return self._tokens.exchange(request) if request.method == "POST" else self._tokens.metadata(request)
        if target.operation == "models":
            return self._list(target)
        method = request.path.rpartition(":")[2]
        self.check_model(split_model(target.model)[0], method)
        match method:
            case "generateContent" | "streamGenerateContent":
                return self.read(request, target)
            case "countTokens":
                return count_tokens(self, self._seed, request, target)
            case "embedContent" | "batchEmbedContents":
                return embed(self, self._seed, request, target)
            case "predictLongRunning":
                return self._videos.start(request, target)
            case "fetchPredictOperation":
                return self._videos.look(request, target)
        predict = imagine if target.operation == "images" else embed_texts
        return predict(self._seed, request, target)

    def methods(self, model: str) -> tuple[str, ...]:
        return next((known for prefix, known in _METHODS.items() if model.startswith(prefix)), methods_of(model))

    def not_found(self, model: str, method: str) -> Refusal:
        return refuse(
            f"Publisher Model `publishers/google/models/{model}` was not found, does not support {method}, or your project "
            "does not have access to it. Please ensure you are using a valid model version.",
            http=404,
        )

    def envelope(self, refusal: Refusal, request_id: str, target: Target) -> bytes:
        if target.operation != "token":
            return super().envelope(refusal, request_id, target)
        if "error" in refusal.error:
            return _ENCODE(refusal.error)
        status = str(refusal.error["status"]).lower()
        return _ENCODE({"error": status, "error_description": refusal.error["message"]})

    def reset(self) -> None:
        """Tokens stay good: whoever holds one knows nothing of it."""
        self._videos.reset()

    def _list(self, target: Target) -> Work:
        names = [target.model] if target.model else list(self._models.gemini)
        shown, following = page(names, target.query)
        models = [{"name": f"publishers/google/models/{name}", "versionId": "default"} for name in shown]
        body = _ENCODE(models[0] if target.model else {"publisherModels": models, **following})

        def render(_: Faults) -> list[Frame]:
            return [Frame(body)]

        return Work(model=target.model, content_type=JSON, render=render)


def _unauthenticated(reason: str) -> Refusal:
    return refuse(
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
        http=401,
        reason=reason,
        service=VERTEX.service,
    )
