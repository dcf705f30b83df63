"""The little of S3 that a video needs: a file is read by who may, and otherwise there is an error in XML.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html and /API/ErrorResponses.html (read 2026-11-24)
"""

from __future__ import annotations

from hashlib import md5
from xml.sax.saxutils import escape

from pulse_gateway.testing.simulator.dice import identifier
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.vendor import Frame, Refusal, Request

__all__ = ["error_body", "is_storage", "refuse_key", "serve"]


def is_storage(request: Request) -> bool:
    """Requests say for which service they are signed, and S3's paths are anything."""
    return request.method in {"GET", "HEAD"} and "/s3/aws4_request" in request.headers.get("authorization", "")


def serve(data: bytes) -> Work:
    etag = md5(data, usedforsecurity=False).hexdigest()
    headers = (("etag", f'"{etag}"'), ("accept-ranges", "bytes"), ("last-modified", "Tue, 24 Nov 2026 00:00:00 GMT"))
    return Work(model="", content_type="video/mp4", headers=headers, render=lambda _: [Frame(data)])


def refuse_key(path: str) -> Refusal:
    error: dict[str, object] = {"Code": "NoSuchKey", "message": "The specified key does not exist."}
    return Refusal(404, error, (("x-amz-request-id", identifier("", path.encode(), "S3", 16).upper()),))


def error_body(refusal: Refusal, request_id: str) -> bytes:
    code = str(refusal.error.get("Code", "AccessDenied"))
    said = escape(str(refusal.error.get("message", "")))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{said}</Message>'
        f"<RequestId>{request_id}</RequestId></Error>"
    ).encode()
