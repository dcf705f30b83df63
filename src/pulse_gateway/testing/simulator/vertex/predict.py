"""The envelope of `:predict` and `:predictLongRunning`: instances and parameters, which keep their spelling.

Source: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference (read 2026-11-24) and google-genai 3.4.0
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta, Struct

from pulse_gateway.testing.simulator.dice import decode_base64
from pulse_gateway.testing.simulator.gemini.errors import malformed, refuse
from pulse_gateway.testing.simulator.media import image_type
from pulse_gateway.testing.simulator.vendor import Request

__all__ = ["Exact", "MediaSource", "Prediction", "check_gcs", "check_image", "check_source", "read_prediction"]

Instance = TypeVar("Instance")
Parameters = TypeVar("Parameters")
_IMAGES = frozenset({"image/png", "image/jpeg", "image/webp"})


class Exact(Struct, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Unlike elsewhere at Google only camelCase is read: these are values, not messages."""


class MediaSource(Exact):
    bytes_base64_encoded: str | None = None
    gcs_uri: str | None = None
    mime_type: str | None = None


class Prediction(Exact, Generic[Instance, Parameters]):
    instances: Annotated[list[Instance], Meta(min_length=1)]
    parameters: Parameters
    labels: dict[str, str] = msgspec.field(default_factory=dict)


def read_prediction(request: Request, shape: Any) -> Any:
    """A `Prediction`, as `shape` says.

    Raises: Refusal.
    """
    try:
        body = msgspec.json.decode(request.body)
        if isinstance(body, dict):
            body.setdefault("parameters", {})
        return msgspec.convert(body, shape)
    except msgspec.ValidationError as error:
        raise malformed(error, "PredictRequest") from error
    except msgspec.DecodeError as error:
        raise refuse(f"Invalid JSON payload received. {error}") from error


def check_image(source: MediaSource, path: str) -> bytes:
    """What it is made of, or where it is.

    Raises: Refusal.
    """
    data = check_source(source, path, _IMAGES)
    if source.gcs_uri is None and image_type(data) != source.mime_type:
        raise refuse(f"{path}: the image is not {source.mime_type}.")
    return data


def check_source(source: MediaSource, path: str, media_types: frozenset[str]) -> bytes:
    """Raises: Refusal."""
    if (source.bytes_base64_encoded is None) == (source.gcs_uri is None):
        raise refuse(f"{path}: exactly one of bytesBase64Encoded and gcsUri must be set.")
    if source.mime_type not in media_types:
        raise refuse(f"{path}.mimeType: must be one of {', '.join(sorted(media_types))}.")
    if source.gcs_uri is not None:
        check_gcs(source.gcs_uri, f"{path}.gcsUri")
        return source.gcs_uri.encode()
    data = decode_base64(source.bytes_base64_encoded or "", url_safe=True)
    if not data:
        raise refuse(f"{path}.bytesBase64Encoded: Base64 decoding failed.")
    return data


def check_gcs(uri: str, path: str) -> None:
    """Raises: Refusal."""
    if not uri.startswith("gs://") or len(uri) < len("gs://abc"):
        raise refuse(f"{path}: must be a Cloud Storage address, gs://bucket/path.")
