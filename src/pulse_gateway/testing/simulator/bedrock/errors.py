"""AWS exceptions: a name in a header, a message in the body.

Source: the service model of bedrock-runtime 2023-09-30 in botocore 1.44.8
"""

from __future__ import annotations

import re

import msgspec

from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.vendor import Refusal
from pulse_gateway.testing.simulator.violations import explain

__all__ = ["exception_of", "injected", "invalid_shape", "refuse"]

_HEADER = "x-amzn-errortype"
_KINDS: dict[str, tuple[int, str]] = {
    "ValidationException": (400, "The request is invalid."),
    "ServiceQuotaExceededException": (400, "Your request exceeds the service quota for your account."),
    "AccessDeniedException": (403, "You don't have access to the model with the specified model ID."),
    "ExpiredTokenException": (403, "The security token included in the request is expired"),
    "UnrecognizedClientException": (403, "The security token included in the request is invalid."),
    "MissingAuthenticationTokenException": (403, "Missing Authentication Token"),
    "IncompleteSignatureException": (403, "The signature is not complete."),
    "InvalidSignatureException": (
        403,
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
        "and signing method. Consult the service documentation for details.",
    ),
    "ResourceNotFoundException": (404, "Could not resolve the foundation model from the provided model identifier."),
    "UnknownOperationException": (404, "The requested operation is not known."),
    "ModelTimeoutException": (408, "The model took too long to answer."),
    "ModelErrorException": (424, "The model failed to process the request."),
    "ModelStreamErrorException": (424, "The model failed while it was streaming."),
    "ThrottlingException": (429, "Too many requests, please wait before trying again."),
    "ModelNotReadyException": (429, "The model is not ready yet, please try again."),
    "InternalServerException": (500, "The system encountered an unexpected error during processing. Try again."),
    "ServiceUnavailableException": (503, "Bedrock is unable to process your request."),
}
_NAMES = {name.lower(): name for name in _KINDS}
_STATUSES = {
    400: "ValidationException", 401: "UnrecognizedClientException", 403: "AccessDeniedException",
    404: "ResourceNotFoundException", 408: "ModelTimeoutException", 424: "ModelErrorException",
    429: "ThrottlingException", 500: "InternalServerException", 503: "ServiceUnavailableException",
}  # fmt: skip
_TYPES = {"int": "number", "float": "number", "str": "string", "bool": "boolean", "object": "object", "array": "array"}


def refuse(message: str = "", *, name: str = "ValidationException") -> Refusal:
    status, sentence = _KINDS[name]
    return _refusal(status, name, message or sentence)


def exception_of(refusal: Refusal) -> str:
    """`throttlingException`, as streams spell it."""
    name = next(value for header, value in refusal.headers if header == _HEADER)
    return name[:1].lower() + name[1:]


def invalid_shape(error: msgspec.ValidationError) -> Refusal:
    """A body that does not fit the service model."""
    found = explain(error)
    path = re.sub(r"\[([^\]]*)\]", r".\1", found.path)
    match found.kind:
        case "unknown":
            return refuse(f"extraneous key [{found.field}] is not permitted at {path}")
        case "missing":
            return refuse(f"Value at '{path}' failed to satisfy constraint: Member must not be null")
        case "type":
            wanted = found.wanted.removesuffix(" | null")
            return refuse(
                f"Value at '{path}' is of the wrong type: expected {_TYPES.get(wanted, wanted)}, got {found.got}"
            )
        case _:
            limit = found.wanted or f"one of the documented values, not '{found.got}'"
            return refuse(
                f"1 validation error detected: Value at '{path}' failed to satisfy constraint: Member must be {limit}"
            )


def injected(faults: Faults) -> Refusal:
    """The error a fault spec asks for; `code` is an exception's name, in either spelling."""
    code = faults.code
    name = _NAMES.get(code.lower()) if code is not None else None
    if name is None:
        status = faults.status if faults.status is not None else 429 if code is None else 400
        name = _STATUSES.get(status, "ValidationException" if status < 500 else "InternalServerException")
    status, sentence = _KINDS[name]
    refusal = _refusal(status if faults.status is None else faults.status, name, sentence)
    if faults.html:  # it never came to Bedrock
        refusal.headers = ()
    if faults.retry_after is not None:
        refusal.headers += (("retry-after", faults.retry_after),)
    return refusal


def _refusal(status: int, name: str, message: str) -> Refusal:
    error: dict[str, object] = {"message": message}
    if name in {"ModelErrorException", "ModelStreamErrorException"}:
        error["originalStatusCode"] = 500
    return Refusal(status, error, ((_HEADER, name),))
