"""What an error of Amazon Bedrock means: of an answer, and of a stream.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_Errors and
/latest/APIReference/CommonErrors.html (read 2026-11-24); botocore 1.44, the exceptions of `bedrock-runtime`
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pulse_gateway.errors import (
    ContextTooLong,
    UpstreamError,
    UpstreamFailed,
    UpstreamModelNotFound,
    UpstreamOverloaded,
    UpstreamQuotaExhausted,
    UpstreamRateLimited,
    UpstreamRefusedContent,
    UpstreamRejected,
    UpstreamTimedOut,
    UpstreamUnauthorized,
)
from pulse_gateway.types.http import Headers, header
from pulse_gateway.wire.upstream_errors import BY_STATUS, meant_by, retry_after_s, told

__all__ = ["stream_error", "upstream_error"]

_BY_NAME: dict[str, type[UpstreamError]] = {
    "AccessDeniedException": UpstreamUnauthorized,
    "UnrecognizedClientException": UpstreamUnauthorized,
    "InvalidSignatureException": UpstreamUnauthorized,
    "IncompleteSignature": UpstreamUnauthorized,
    "InvalidClientTokenId": UpstreamUnauthorized,
    "MissingAuthenticationTokenException": UpstreamUnauthorized,
    "ExpiredTokenException": UpstreamUnauthorized,
    "NotAuthorized": UpstreamUnauthorized,
    "OptInRequired": UpstreamUnauthorized,
    "ValidationException": UpstreamRejected,
    "ConflictException": UpstreamFailed,  # passes by itself
    "ResourceNotFoundException": UpstreamModelNotFound,
    "ThrottlingException": UpstreamRateLimited,
    "ServiceQuotaExceededException": UpstreamQuotaExhausted,
    "ModelNotReadyException": UpstreamOverloaded,  # it is being loaded: the SDK asks again too
    "ModelTimeoutException": UpstreamTimedOut,
    "ModelErrorException": UpstreamFailed,
    "ModelStreamErrorException": UpstreamFailed,
    "InternalServerException": UpstreamFailed,
    "InternalFailure": UpstreamFailed,
    "ServiceUnavailableException": UpstreamOverloaded,
    "ServiceUnavailable": UpstreamOverloaded,
}
_BY_STATUS = {**BY_STATUS, 424: UpstreamFailed}
# Several refusals share `ValidationException`, and two limits `ThrottlingException`: only the text tells them apart.
_BY_TEXT: dict[type[UpstreamError], tuple[tuple[re.Pattern[str], type[UpstreamError]], ...]] = {
    UpstreamRejected: (
        (
            re.compile(
                r"input is too long|prompt is too long|too many (input )?tokens|exceed\w* (the )?(model'?s? )?"
                r"(maximum )?(context|input token)|maximum context length|context window",
                re.IGNORECASE,
            ),
            ContextTooLong,
        ),
        (
            re.compile(
                r"model identifier is invalid|invalid model (id|identifier)|on-demand throughput isn.t supported|"
                r"doesn.t support the model|end of its life",
                re.IGNORECASE,
            ),
            UpstreamModelNotFound,
        ),
        (re.compile(r"blocked by (our |the )?content filter", re.IGNORECASE), UpstreamRefusedContent),
    ),
    UpstreamRateLimited: ((re.compile(r"\bper day\b", re.IGNORECASE), UpstreamQuotaExhausted),),
}
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def upstream_error(status: int, headers: Headers, body: bytes) -> UpstreamError:
    """What an answer outside 2xx means. Its name is in `x-amzn-errortype`, or in the body."""
    said = _read(body)
    name = _bare(header(headers, "x-amzn-errortype")) or _bare(_text(said, "__type", "code", "Code"))
    return _error(name, _text(said, "message", "Message"), status, headers, known=bool(said) or bool(name))


def stream_error(name: str, payload: bytes) -> UpstreamError:
    """What an exception inside a stream means; there names begin with a small letter."""
    name = _bare(name[:1].upper() + name[1:])
    return _error(name, _text(_read(payload), "message", "Message", "originalMessage"), 200, (), known=True)


def _error(name: str, message: str, status: int, headers: Headers, *, known: bool) -> UpstreamError:
    kind = _kind(name, status, known=known)
    for pattern, meaning in _BY_TEXT.get(kind, ()):
        if pattern.search(message):
            kind = meaning
            break
    return kind(
        told(kind, message),
        retry_after_s=retry_after_s(headers),
        upstream_status=status,
        upstream_code=name or None,
    )


def _kind(name: str, status: int, *, known: bool) -> type[UpstreamError]:
    if name in _BY_NAME:
        return _BY_NAME[name]
    if status < 300:  # inside a stream
        return UpstreamFailed
    return meant_by(status, is_vendors=known, table=_BY_STATUS)


def _read(body: bytes) -> dict[str, Any]:
    """Empty for HTML, nothing, or JSON of another shape."""
    try:
        return _decode(body)
    except (ValueError, RecursionError):
        return {}


def _text(said: dict[str, Any], *names: str) -> str:
    return next((said[name] for name in names if isinstance(said.get(name), str)), "")


def _bare(name: str | None) -> str:
    """`ThrottlingException` of `com.amazon.coral.service#ThrottlingException:http://internal.amazon.com/…`."""
    return (name or "").partition(":")[0].rpartition("#")[2].strip()
