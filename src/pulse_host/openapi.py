"""The data plane's part of the OpenAPI document. Its bodies are the vendors' own, so they are named, not repeated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Litestar
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import (
    OpenAPI,
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
    ("/v1/messages", "Anthropic messages", "anthropic"),
    ("/v1beta/models/{model}:generateContent", "Gemini generateContent", "gemini"),
    ("/v1beta/models/{model}:streamGenerateContent", "Gemini streamGenerateContent; needs ?alt=sse", "gemini"),
    ("/v1/models/{model}:generateContent", "Gemini generateContent", "gemini"),
    ("/v1/models/{model}:streamGenerateContent", "Gemini streamGenerateContent; needs ?alt=sse", "gemini"),
)
_ERRORS = {
    "400": "invalid_request, unsupported_parameter, content_blocked",
    "401": "unauthenticated",
    "404": "model_not_found",
    "413": "request_too_large",
    "429": "rate_limit_exceeded, insufficient_quota",
    "502": "upstream_error and its kin",
    "503": "unavailable, upstream_overloaded",
    "504": "upstream_timeout",
}


def openapi_document(handlers: Sequence[Any]) -> dict[str, Any]:
    """The document of `handlers`, the data plane included."""
    described = Litestar(
        handlers, openapi_config=OpenAPIConfig(title="Pulse", version=__version__), logging_config=None
    )
    document = described.openapi_schema
    _describe_data_plane(document)
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
                parameters=[_model()] if "{model}" in path else None,
                request_body=RequestBody(content={"application/json": OpenAPIMediaType(schema=_OBJECT)}, required=True),
                responses=_responses("The answer; as text/event-stream when a stream was asked for"),
            )
        )
    for path in ("/v1/models", "/v1beta/models"):
        operation_id = path.strip("/").replace("/", "_")
        paths[path] = PathItem(
            get=Operation(
                operation_id=operation_id,
                summary="The models that the caller may use, in the shape of the SDK that asks",
                tags=["models"],
                responses=_responses("The list"),
            )
        )
        paths[f"{path}/{{model}}"] = PathItem(
            get=Operation(
                operation_id=f"{operation_id}_one",
                summary="One model, in the shape of the SDK that asks",
                tags=["models"],
                parameters=[_model()],
                responses=_responses("The model"),
            )
        )


def _model() -> Parameter | Reference:
    return Parameter(name="model", param_in="path", required=True, schema=Schema(type=OpenAPIType.STRING))


def _responses(good: str) -> dict[str, OpenAPIResponse | Reference]:
    content = {"application/json": OpenAPIMediaType(schema=_OBJECT)}
    answers: dict[str, OpenAPIResponse | Reference] = {"200": OpenAPIResponse(description=good, content=dict(content))}
    for status, codes in _ERRORS.items():
        answers[status] = OpenAPIResponse(description=codes, content=dict(content))
    return answers
