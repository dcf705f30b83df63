"""What Replicate tells about models, versions, deployments and the account.

Source: https://replicate.com/docs/reference/http (read 2026-11-24) and replicate 1.0.7
"""

from __future__ import annotations

from typing import Any

from pulse_gateway.testing.simulator.replicate.errors import refuse
from pulse_gateway.testing.simulator.replicate.inputs import Input, Model
from pulse_gateway.testing.simulator.replicate.models import MODELS, model_called

__all__ = ["ACCOUNT", "deployment_document", "model_document", "search", "version_document"]

ACCOUNT: dict[str, Any] = {"type": "organization", "username": "simulated", "name": "Simulated", "github_url": None}
_CREATED_AT = "2026-01-01T00:00:00.000000Z"
_URI = {"type": "string", "format": "uri"}
_OUTPUTS: dict[str, dict[str, Any]] = {
    "pictures": {"type": "array", "items": _URI},
    "picture": _URI,
    "video": _URI,
    "text": {"type": "array", "items": {"type": "string"}, "x-cog-array-type": "iterator"},
    "structured": {"type": "object"},
    "transcript": {"type": "object"},
    "chunks": {"type": "object"},
    "segments": {"type": "object"},
    "sound": _URI,
    "heard": {"type": "array", "items": {"type": "string"}, "x-cog-array-type": "iterator"},
    "vectors": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
    "embeddings": {"type": "array", "items": {"type": "object"}},
}


def model_document(name: str) -> dict[str, Any]:
    """Raises: Refusal for a model that is not in the list."""
    if name not in MODELS:
        raise refuse(status=404)
    model = MODELS[name]
    owner, _, short = name.partition("/")
    return {
        "url": f"https://replicate.com/{name}",
        "owner": owner,
        "name": short,
        "description": "A simulated model.",
        "visibility": "public",
        "is_official": model.official,
        "github_url": None,
        "paper_url": None,
        "license_url": None,
        "run_count": 1,
        "cover_image_url": None,
        "default_example": None,
        "latest_version": version_document(name),
    }


def version_document(name: str) -> dict[str, Any]:
    model = model_called(name)
    return {
        "id": model.version,
        "created_at": _CREATED_AT,
        "cog_version": "0.16.0",
        "openapi_schema": {
            "openapi": "3.0.2",
            "info": {"title": "Cog", "version": "0.1.0"},
            "paths": {},
            "components": {"schemas": {"Input": _inputs(model), "Output": _OUTPUTS[model.shape]}},
        },
    }


def deployment_document(name: str) -> dict[str, Any]:
    owner, _, short = name.partition("/")
    return {
        "owner": owner,
        "name": short,
        "current_release": {
            "number": 1,
            "model": name,
            "version": model_called(name).version,
            "created_at": _CREATED_AT,
            "created_by": ACCOUNT,
            "configuration": {"hardware": "gpu-t4", "min_instances": 0, "max_instances": 1},
        },
    }


def search(words: str) -> list[dict[str, Any]]:
    return [model_document(name) for name in MODELS if words.strip().lower() in name]


def _inputs(model: Model) -> dict[str, Any]:
    fields = model.inputs or {}
    return {
        "type": "object",
        "title": "Input",
        "properties": {name: _input(field) for name, field in fields.items()},
        "required": [name for name, field in fields.items() if field.required],
    }


def _input(field: Input) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": field.type}
    if field.type == "uri":
        schema = dict(_URI)
    elif field.type == "uris":
        schema = {"type": "array", "items": _URI}
    if field.choices:
        schema["enum"] = list(field.choices)
    if field.least is not None:
        schema["minimum"] = field.least
    if field.most is not None:
        schema["maximum"] = field.most
    return schema
