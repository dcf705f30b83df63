"""Files on their way to Replicate: itself in a data URL, or, if it is large, an upload.

Source: https://replicate.com/docs/topics/predictions/input-files and replicate 1.0.7 (read 2026-11-24)
"""

from __future__ import annotations

import base64
from collections.abc import Generator
from typing import Any

import msgspec

from pulse_gateway.providers.offer import Billed, OfferCall, Step, ask
from pulse_gateway.providers.replicate_videos import ReplicateAddress
from pulse_gateway.types.http import HttpRequest
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.foreign_json import from_provider
from pulse_gateway.wire.multipart import FormPart, build_form

__all__ = ["INLINE_BYTES", "uploaded"]

INLINE_BYTES = 256 * 1000  # larger files are uploaded


class _Urls(msgspec.Struct):
    get: str


class _File(msgspec.Struct):
    urls: _Urls


_decode = msgspec.json.Decoder(_File).decode


def uploaded(link: str, vendor: ReplicateAddress, call: OfferCall) -> Generator[Step, Any, str]:
    """Where Replicate finds what is at `link`: there, unless it is a data URL of too much."""
    if not link.startswith("data:") or len(link) * 3 // 4 <= INLINE_BYTES:
        return link
    head, _, data = link.partition(",")
    kind = head.removeprefix("data:").partition(";")[0]
    form = build_form([FormPart(name="content", data=base64.b64decode(data), filename="file", content_type=kind)])
    headers = (("content-type", form.content_type), *vendor.own_headers(call))
    answer = yield from ask(HttpRequest("POST", f"{vendor.base(call.deployment)}/files", headers, form.data))
    yield Billed(Usage())  # files are free
    return from_provider(_decode, answer.body).urls.get
