"""Every error a caller can see: its HTTP status, its stable code, and whose fault it is.

`code` is a promise: clients switch on it. `kind` is the word OpenAI's dialect calls `type`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, ClassVar, Literal

__all__ = [
    "AdmissionError",
    "Advice",
    "AllAttemptsFailed",
    "AnswerInterrupted",
    "AnswerNotExpressible",
    "CallerError",
    "ConcurrencyLimited",
    "ConfigError",
    "ContentBlocked",
    "ContextTooLong",
    "DeadlineExceeded",
    "IdempotencyConflict",
    "InternalError",
    "InvalidRequest",
    "MethodNotAllowed",
    "ModelNotFound",
    "NotFound",
    "PermissionDenied",
    "PulseError",
    "QuotaExceeded",
    "RateLimited",
    "RequestTimeout",
    "RequestTooLarge",
    "RouteNotFound",
    "StoreUnavailable",
    "StreamInterrupted",
    "TooManyVideos",
    "Unauthenticated",
    "UnsupportedParameter",
    "UpstreamCooling",
    "UpstreamDisconnected",
    "UpstreamError",
    "UpstreamFailed",
    "UpstreamModelNotFound",
    "UpstreamOverloaded",
    "UpstreamProtocolError",
    "UpstreamQuotaExhausted",
    "UpstreamRateLimited",
    "UpstreamRefusedContent",
    "UpstreamRejected",
    "UpstreamSuspended",
    "UpstreamTimedOut",
    "UpstreamTimeout",
    "UpstreamTooLarge",
    "UpstreamUnauthorized",
    "UpstreamUnreachable",
]


class PulseError(Exception):
    """The root: something this gateway answers with a status and a code of its own."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    kind: ClassVar[str] = "server_error"
    blame: ClassVar[Literal["caller", "gateway", "upstream"]] = "gateway"

    def __init__(self, message: str, *, param: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        self.limits_policy: str | None = None  # what decided, where the shared limits were away: `local`, `closed`


class InternalError(PulseError):
    """A defect of ours. The message never carries its cause; the log does."""


class StoreUnavailable(PulseError):
    """A store that admission or accounting needs does not answer, or the process is draining."""

    status, code, kind = 503, "unavailable", "service_unavailable_error"


class ConfigError(Exception):
    """The configuration cannot be used. Raised at start-up and reload only; names the key, the file and the fix."""


# ── the caller's fault ────────────────────────────────────────────────────────────────────────────────────────────────


class CallerError(PulseError):
    status, code, kind = 400, "invalid_request", "invalid_request_error"
    blame = "caller"


class InvalidRequest(CallerError):
    """The request is malformed; `param` is the path of the bad field where there is one."""


class UnsupportedParameter(InvalidRequest):
    """The chosen provider or model cannot express this field; `param` names it as the client spelled it."""

    code = "unsupported_parameter"


class ContentBlocked(CallerError):
    """A moderator refused the prompt or the answer."""

    code = "content_blocked"


class ModelNotFound(CallerError):
    status, code = 404, "model_not_found"


class NotFound(CallerError):
    """The caller has nothing by that name."""

    status, code = 404, "not_found"


class RouteNotFound(NotFound):
    """There is nothing at this address."""


class MethodNotAllowed(CallerError):
    """`allowed` is what the address takes, for the header `Allow`."""

    status, code = 405, "method_not_allowed"

    def __init__(self, message: str, *, allowed: str) -> None:
        super().__init__(message)
        self.allowed = allowed


class RequestTimeout(CallerError):
    status, code = 408, "request_timeout"


class RequestTooLarge(CallerError):
    status, code = 413, "request_too_large"


# ── not admitted ──────────────────────────────────────────────────────────────────────────────────────────────────────


class AdmissionError(PulseError):
    """Refused before anything was done for the request.

    A limiter says which `kind_of_limit` it was (`requests`, `tokens` …) and of which `account`, and adds the `limits.limiter.Standing` of every
    counter it looked at, for the response headers.
    """

    blame = "caller"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: float | None = None,
        standings: tuple[Any, ...] = (),
        kind_of_limit: str | None = None,
    ) -> None:
        super().__init__(message, param=param, retry_after_s=retry_after_s)
        self.standings = standings
        self.kind_of_limit = kind_of_limit
        self.account: str | None = None


class Unauthenticated(AdmissionError):
    status, code, kind = 401, "unauthenticated", "authentication_error"


class PermissionDenied(AdmissionError):
    status, code, kind = 403, "permission_denied", "permission_error"


class RateLimited(AdmissionError):
    """Too many requests in the window. `retry_after_s` is when the next one fits."""

    status, code, kind = 429, "rate_limit_exceeded", "rate_limit_error"


class ConcurrencyLimited(AdmissionError):
    """Too many calls at once. `retry_after_s` is a guess: nobody knows when one of them will end."""

    status, code, kind = 429, "concurrency_limit_exceeded", "rate_limit_error"


class TooManyVideos(ConcurrencyLimited):
    """As many videos of a user are being made as may be."""

    code = "video_limit_exceeded"


class IdempotencyConflict(CallerError):
    """The same `Idempotency-Key` came with another request."""

    status, code = 409, "idempotency_conflict"


class QuotaExceeded(AdmissionError):
    """The period's quota does not cover this request. `retry_after_s` is when the period ends."""

    status, code, kind = 429, "insufficient_quota", "insufficient_quota"


# ── the upstream's fault ──────────────────────────────────────────────────────────────────────────────────────────────


class Advice(Enum):
    """What may be tried after an upstream failure, before the commit point."""

    RETRY = "retry"  # the same deployment may well answer the next time
    NEXT = "next"  # this deployment will not; another may
    STOP = "stop"  # no deployment will: the request itself is refused


class UpstreamError(PulseError):
    """A provider failed us; `advice` says what may be tried next.

    `upstream_status` and `upstream_code` are the provider's own words, for logs and for the error body. `unhealthy` says whether the
    failure speaks against the deployment rather than the request, the credentials or the rate. `may_be_made`: something dear was asked
    for, and may be made and billed although nothing was heard of it, so that nobody is asked for it again. `told_nano_usd`: what the
    provider says that the failure itself costs.
    """

    status, code, kind = 502, "upstream_error", "upstream_error"
    blame: ClassVar[Literal["caller", "gateway", "upstream"]] = "upstream"
    advice: ClassVar[Advice] = Advice.NEXT
    unhealthy: ClassVar[bool] = False
    may_be_made = False
    told_nano_usd: int | None = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: float | None = None,
        upstream_status: int | None = None,
        upstream_code: str | None = None,
    ) -> None:
        super().__init__(message, param=param, retry_after_s=retry_after_s)
        self.upstream_status = upstream_status
        self.upstream_code = upstream_code


class UpstreamRejected(UpstreamError):
    """The provider found the request itself wrong."""

    status, code, kind = 400, "upstream_rejected", "invalid_request_error"
    blame = "caller"
    advice = Advice.STOP


class ContextTooLong(UpstreamRejected):
    code = "context_length_exceeded"


class UpstreamTooLarge(UpstreamRejected):
    status, code = 413, "request_too_large"


class UpstreamRefusedContent(UpstreamRejected):
    """The provider's own content policy refused the prompt before any output."""

    code = "content_blocked"


class UpstreamModelNotFound(UpstreamError):
    status, code, kind = 404, "model_not_found", "invalid_request_error"
    advice = Advice.NEXT


class UpstreamRateLimited(UpstreamError):
    status, code, kind = 429, "upstream_rate_limited", "rate_limit_error"
    advice = Advice.RETRY


class UpstreamCooling(UpstreamRateLimited):
    """The provider said when to come back, and it is not time yet; nothing was sent."""

    advice = Advice.NEXT


class UpstreamSuspended(UpstreamError):
    """The deployment has failed so much of late that it is not asked for a while; nothing was sent."""

    status, code, kind = 503, "upstream_suspended", "service_unavailable_error"
    advice = Advice.NEXT


class UpstreamQuotaExhausted(UpstreamError):
    """Our account with the provider is out of money: waiting does not help, so it is never retried."""

    status, code = 503, "upstream_quota_exhausted"
    advice = Advice.NEXT


class UpstreamOverloaded(UpstreamError):
    status, code, kind = 503, "upstream_overloaded", "service_unavailable_error"
    advice = Advice.RETRY
    unhealthy = True


class UpstreamFailed(UpstreamError):
    """The provider answered 5xx."""

    advice = Advice.RETRY
    unhealthy = True


class UpstreamTimeout(UpstreamError):
    """No byte, or no further byte, within the deployment's time. The provider may have done the work: not retried there."""

    status, code = 504, "upstream_timeout"
    advice = Advice.NEXT
    unhealthy = True


class UpstreamTimedOut(UpstreamTimeout):
    """The provider itself answered that it ran out of time (408, 504): it has given up, so asking again costs nothing twice."""

    advice = Advice.RETRY
    unhealthy = True


class DeadlineExceeded(UpstreamTimeout):
    """The time for the whole exchange is over."""

    advice = Advice.STOP
    unhealthy = False


class UpstreamUnreachable(UpstreamError):
    """No connection: nothing of the request was processed."""

    code = "upstream_unreachable"
    advice = Advice.RETRY
    unhealthy = True


class UpstreamDisconnected(UpstreamError):
    """The connection ended without a byte of an answer: mostly a kept-alive one that the provider had just closed. Tried again, as
    the vendors' own SDKs do.
    """

    code = "upstream_disconnected"
    advice = Advice.RETRY
    unhealthy = True


class UpstreamUnauthorized(UpstreamError):
    """The provider refused *our* credentials; the caller's key is fine."""

    code = "upstream_unauthorized"
    advice = Advice.NEXT


class UpstreamProtocolError(UpstreamError):
    """The provider's answer is not what its protocol allows."""

    code = "upstream_bad_response"
    advice = Advice.NEXT
    unhealthy = True


class AnswerNotExpressible(UpstreamProtocolError):
    """The provider's answer cannot be said in the client's dialect. Asking again, anywhere, would be billed again."""

    advice = Advice.STOP
    unhealthy = False


class AnswerInterrupted(UpstreamError):
    """The answer broke off before anything of it had reached the client: another deployment may still give it."""

    code = "upstream_interrupted"
    advice = Advice.NEXT
    unhealthy = True


class StreamInterrupted(UpstreamError):
    """The stream ended before its terminal frame, after the commit point."""

    code = "upstream_interrupted"
    advice = Advice.STOP
    unhealthy = True


class AllAttemptsFailed(UpstreamError):
    """Several deployments failed in different ways; `failures` holds each, in order."""

    status, code, kind = 503, "upstream_all_failed", "service_unavailable_error"
    advice = Advice.STOP

    def __init__(self, failures: Sequence[UpstreamError]) -> None:
        waits = [failure.retry_after_s for failure in failures if failure.retry_after_s is not None]
        tried = "; ".join(f"{failure.code}: {failure.message}" for failure in failures)
        super().__init__(f"every deployment failed: {tried}", retry_after_s=min(waits, default=None))
        self.failures = tuple(failures)
