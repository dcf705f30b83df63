"""What an error means that a response reports of itself, and how ours looks inside a stream.

Error answers have the shape that Chat Completions gives them.

Source: `openai/types/responses/response_error.py` and `response_error_event.py` of the `openai` SDK 3.54.0, read 2026-11-24.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import msgspec

from pulse_gateway.errors import (
    PulseError,
    UpstreamError,
    UpstreamFailed,
    UpstreamRefusedContent,
    UpstreamRejected,
    UpstreamTimedOut,
)
from pulse_gateway.wire.openai_chat.errors import OPENAI_ERRORS, ErrorTable, upstream_error

__all__ = ["RESPONSES_ERRORS", "error_event", "failure"]

_POLICIES = ("bio_policy", "image_content_policy_violation", "invalid_prompt", "misalignment_policy_violation")
_BAD_INPUT = (
    "data_residency_mismatch", "empty_image_file", "failed_to_download_image", "image_file_not_found", "image_file_too_large",
    "image_parse_error", "image_too_large", "image_too_small", "invalid_base64_image", "invalid_image", "invalid_image_format",
    "invalid_image_mode", "invalid_image_url", "previous_response_not_found", "unsupported_image_media_type",
)  # fmt: skip

RESPONSES_ERRORS: ErrorTable = MappingProxyType(
    {
        **OPENAI_ERRORS,
        **{(None, code): UpstreamRefusedContent for code in _POLICIES},
        **{(None, code): UpstreamRejected for code in _BAD_INPUT},
        (200, "server_error"): UpstreamFailed,  # inside a response; where there is a status, that says more
        (None, "vector_store_timeout"): UpstreamTimedOut,
    }
)


def failure(error: Any) -> UpstreamError:
    """The error of a response that failed: an object with `code` and `message`, or whatever a vendor puts in its place."""
    return upstream_error(200, (), msgspec.json.encode({"error": error}), table=RESPONSES_ERRORS)


def error_event(error: PulseError, request_id: str, sequence_number: int) -> dict[str, Any]:
    """The data of an `error` event, with the request's id beside what OpenAI puts into it."""
    return {
        "type": "error",
        "code": error.code,
        "message": error.message,
        "param": error.param,
        "sequence_number": sequence_number,
        "request_id": request_id,
    }
