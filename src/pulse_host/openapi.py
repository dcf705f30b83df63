"""The data plane's part of the OpenAPI document. Its bodies are the vendors' own, so they are named, not repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Litestar
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import (
    OpenAPI,
    OpenAPIHeader,
    OpenAPIMediaType,
    OpenAPIResponse,
    Operation,
    Parameter,
    PathItem,
    Reference,
    RequestBody,
    Schema,
)
from litestar.openapi.spec.enums import OpenAPIType

from pulse_gateway import __version__

__all__ = ["openapi_document"]

_OBJECT = Schema(type=OpenAPIType.OBJECT)
_ROUTES = (
    ("/v1/chat/completions", "OpenAI chat completions", "openai"),
    ("/v1/responses", "OpenAI responses", "openai"),
    ("/v1/messages", "Anthropic messages", "anthropic"),
    ("/v1/messages/count_tokens", "Anthropic count_tokens", "anthropic"),
    ("/v1/responses/input_tokens", "OpenAI count of a Responses request's tokens", "openai"),
    ("/v1/embeddings", "OpenAI embeddings", "openai"),
    ("/v1/images/generations", "OpenAI images", "openai"),
    ("/v1/images/edits", "OpenAI edits of images; a form or JSON", "openai"),
    ("/v1/audio/speech", "OpenAI speech; answered with sound", "openai"),
    ("/v1/audio/transcriptions", "OpenAI transcription of a recording; a form", "openai"),
    ("/v1/audio/translations", "OpenAI translation of a recording into English; a form", "openai"),
    ("/v1/moderations", "OpenAI moderations", "openai"),
    ("/v1/videos", "OpenAI videos: begins one; a form or JSON", "openai"),
    ("/v1/rerank", "Rerank as Cohere, Together, vLLM and OpenRouter have it", "rerank"),
    ("/v1beta/models/{model}:generateContent", "Gemini generateContent", "gemini"),
    (
        "/v1beta/models/{model}:streamGenerateContent",
        "Gemini streamGenerateContent; events with ?alt=sse, else one JSON array",
        "gemini",
    ),
    ("/v1beta/models/{model}:embedContent", "Gemini embedContent", "gemini"),
    ("/v1beta/models/{model}:batchEmbedContents", "Gemini batchEmbedContents", "gemini"),
    ("/v1beta/models/{model}:countTokens", "Gemini countTokens", "gemini"),
    ("/v1/models/{model}:generateContent", "Gemini generateContent", "gemini"),
    (
        "/v1/models/{model}:streamGenerateContent",
        "Gemini streamGenerateContent; events with ?alt=sse, else one JSON array",
        "gemini",
    ),
    ("/v1/models/{model}:embedContent", "Gemini embedContent", "gemini"),
    ("/v1/models/{model}:batchEmbedContents", "Gemini batchEmbedContents", "gemini"),
    ("/v1/models/{model}:countTokens", "Gemini countTokens", "gemini"),
)
_FORM, _JSON = "multipart/form-data", "application/json"
_BODIES = {
    "/v1/images/edits": (_FORM, _JSON),
    "/v1/videos": (_FORM, _JSON),
    "/v1/audio/transcriptions": (_FORM,),
    "/v1/audio/translations": (_FORM,),
}
_PAGES = {
    "limit": "Anthropic's shape: models on a page, 1 to 1000, 20 unless given",
    "after_id": "Anthropic's shape: the page after this model",
    "before_id": "Anthropic's shape: the page before this model",
    "lifecycle": "Anthropic's shape: only `active` or `deprecated` ones",
    "pageSize": "Gemini's shape: models on a page, 1 to 1000, 50 unless given",
    "pageToken": "Gemini's shape: `nextPageToken` of the page before",
}
_CALL_ERRORS = {
    "400": "invalid_request, unsupported_parameter, content_blocked, context_length_exceeded, upstream_rejected",
    "401": "unauthenticated",
    "403": "permission_denied",
    "404": "model_not_found",
    "408": "request_timeout",
    "409": "idempotency_conflict",
    "413": "request_too_large",
    "429": "rate_limit_exceeded, concurrency_limit_exceeded, insufficient_quota, upstream_rate_limited",
    "502": "upstream_error and its kin",
    "503": "unavailable, upstream_overloaded and its kin",
    "504": "upstream_timeout",
}
_READ_ERRORS = {
    "401": "unauthenticated",
    "403": "permission_denied",
    "429": "rate_limit_exceeded: too many requests without a valid key",
    "503": "unavailable",
}
_USAGE = {
    "/v1/usage/me": _READ_ERRORS,
    "/v1/usage/me/history": {"400": "invalid_request", **_READ_ERRORS},
    "/v1/admin/models": {"400": "invalid_request", **_READ_ERRORS},
}


def openapi_document(handlers: Sequence[Any]) -> dict[str, Any]:
    """The document of `handlers`, the data plane included."""
    described = Litestar(
        handlers, openapi_config=OpenAPIConfig(title="Pulse", version=__version__), logging_config=None
    )
    document = described.openapi_schema
    _describe_data_plane(document)
    _describe_videos(document)
    _describe_usage(document)
    return document.to_schema()


def _describe_data_plane(document: OpenAPI) -> None:
    """Add the routes that are served as raw ASGI, and the list of models."""
    paths = document.paths = document.paths or {}
    for path, summary, tag in _ROUTES:
        paths[path] = PathItem(
            post=Operation(
                operation_id=path.strip("/").replace("/", "_").replace("{model}:", ""),
                summary=summary,
                description=f"Request, answer, stream and errors are those of the vendor's own API ({summary}).",
                tags=[tag],
                parameters=[*([_model()] if "{model}" in path else []), _idempotency_key()],
                request_body=RequestBody(
                    content={kind: OpenAPIMediaType(schema=_OBJECT) for kind in _BODIES.get(path, (_JSON,))},
                    required=True,
                ),
                responses=_responses("The answer; as text/event-stream when a stream was asked for", _CALL_ERRORS),
            )
        )
    for path in ("/v1/models", "/v1beta/models"):
        operation_id = path.strip("/").replace("/", "_")
        paths[path] = PathItem(
            get=Operation(
                operation_id=operation_id,
                summary="The models that the caller may use, in the shape of the SDK that asks",
                tags=["models"],
                parameters=[_query(name, about) for name, about in _PAGES.items()],
                responses=_responses("The list", {"400": "invalid_request", **_READ_ERRORS}),
            )
        )
        paths[f"{path}/{{model}}"] = PathItem(
            get=Operation(
                operation_id=f"{operation_id}_one",
                summary="One model, in the shape of the SDK that asks",
                tags=["models"],
                parameters=[_model()],
                responses=_responses("The model", {**_READ_ERRORS, "404": "model_not_found"}),
            )
        )


def _describe_videos(document: OpenAPI) -> None:
    """What is done with a video once it is begun."""
    paths = document.paths or {}
    missing = {**_READ_ERRORS, "404": "not_found"}
    pages = [
        _query("limit", "1 to 100, 20 unless given"),
        _query("after", "the id before"),
        _query("order", "asc or desc"),
    ]
    paths["/v1/videos"].get = Operation(
        operation_id="v1_videos_list",
        summary="The caller's own videos",
        tags=["openai"],
        parameters=pages,
        responses=_responses("The list", {"400": "invalid_request", **_READ_ERRORS}),
    )
    paths["/v1/videos/{id}"] = PathItem(
        get=Operation(
            operation_id="v1_videos_one",
            summary="How far a video is",
            tags=["openai"],
            parameters=[_video()],
            responses=_responses("The job", missing),
        ),
        delete=Operation(
            operation_id="v1_videos_delete",
            summary="Stops it where the vendor can, and forgets it",
            tags=["openai"],
            parameters=[_video()],
            responses=_responses("It is gone", missing),
        ),
    )
    paths["/v1/videos/{id}/content"] = PathItem(
        get=Operation(
            operation_id="v1_videos_content",
            summary="The video itself",
            tags=["openai"],
            parameters=[_video()],
            responses=_responses(
                "The file",
                {"400": "invalid_request: it is not completed", **missing, "502": "upstream_error and its kin"},
            ),
        )
    )


def _video() -> Parameter | Reference:
    return Parameter(name="id", param_in="path", required=True, schema=Schema(type=OpenAPIType.STRING))


def _model() -> Parameter | Reference:
    return Parameter(name="model", param_in="path", required=True, schema=Schema(type=OpenAPIType.STRING))


def _query(name: str, about: str) -> Parameter | Reference:
    return Parameter(
        name=name, param_in="query", required=False, description=about, schema=Schema(type=OpenAPIType.STRING)
    )


def _idempotency_key() -> Parameter | Reference:
    return Parameter(
        name="Idempotency-Key",
        param_in="header",
        description="the request is run once, however often it is sent; the answer is kept and given again",
        schema=Schema(type=OpenAPIType.STRING, min_length=1, max_length=255),
    )


def _describe_usage(document: OpenAPI) -> None:
    """Name the errors of the typed routes, which are raised far below them."""
    for path, errors in _USAGE.items():
        item = (document.paths or {})[path]
        if item.get is not None and item.get.responses is not None:
            item.get.responses.update({status: _response(codes) for status, codes in errors.items()})
            for answer in item.get.responses.values():
                if isinstance(answer, OpenAPIResponse):
                    answer.headers = _headers()


def _responses(good: str, errors: Mapping[str, str]) -> dict[str, OpenAPIResponse | Reference]:
    return {"200": _response(good), **{status: _response(codes) for status, codes in errors.items()}}


def _response(description: str) -> OpenAPIResponse:
    content = {"application/json": OpenAPIMediaType(schema=_OBJECT)}
    return OpenAPIResponse(description=description, content=content, headers=_headers())


def _headers() -> dict[str, OpenAPIHeader | Reference]:
    about = "the caller's own, or a new one; the log has it"
    return {"x-request-id": OpenAPIHeader(description=about, schema=Schema(type=OpenAPIType.STRING))}
