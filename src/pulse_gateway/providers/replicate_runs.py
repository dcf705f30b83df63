"""A prediction of Replicate's that is waited for, then looked at until it has ended, and the files that go into it and come out of it.

Source: https://replicate.com/docs/reference/http, /docs/topics/predictions/lifecycle, /input-files and /output-files (read 2026-11-24)
"""

from __future__ import annotations

import base64
import re
from collections.abc import Generator
from typing import Any
from urllib.parse import quote

import msgspec

from pulse_gateway.errors import UpstreamError, UpstreamRefusedContent
from pulse_gateway.providers.looks import looked
from pulse_gateway.providers.offer import Billed, Download, OfferCall, OnAbandon, Pause, Step, ask
from pulse_gateway.providers.replicate_videos import ReplicateAddress
from pulse_gateway.providers.video_parts import host_of, same_origin
from pulse_gateway.types.http import HttpAnswer, HttpRequest, Payload
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol, to_provider
from pulse_gateway.wire.multipart import FormPart, build_form

__all__ = ["Prediction", "Runs", "addresses", "inline_data"]

_INLINE_BYTES = 256 * 1000  # larger files are uploaded
_WAIT_S, _MARGIN_S = 60, 5.0  # for the first answer: at most, and less than we wait for a byte
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 3.0
_RUNNING = frozenset({"starting", "processing"})
_FLAGGED = re.compile(r"nsfw|sensitive|safety|E005", re.IGNORECASE)
_DELIVERY = ".replicate.delivery"  # where it puts files, for an hour
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w-]+=[^;,]*)*;base64,", re.ASCII)


class Prediction(msgspec.Struct):
    """One that has ended, unless `status` says otherwise. `output` is whatever its model gives."""

    id: str
    status: str
    output: Any = None
    error: Any = None

    @property
    def succeeded(self) -> bool:
        return self.status == "succeeded"

    def failure(self, made: str) -> UpstreamError:
        """Of one that ended without what it was to make. Asking the same model again would mostly fail again, and be billed again."""
        words = self.error if isinstance(self.error, str) else ""
        if _FLAGGED.search(words):
            return UpstreamRefusedContent(f"the provider's filter let no {made} through", upstream_code=self.status)
        return UpstreamError(f"the provider's prediction is {self.status}", upstream_code=self.status)


class _Urls(msgspec.Struct):
    get: str


class _File(msgspec.Struct):
    urls: _Urls


_prediction = msgspec.json.Decoder(Prediction).decode
_file = msgspec.json.Decoder(_File).decode


class Runs:
    """What the offers of models that are run as predictions have in common."""

    def __init__(self, vendor: ReplicateAddress) -> None:
        self._vendor = vendor

    def ended(
        self, asked: dict[str, Any], call: OfferCall, *, by_version: str | None = None
    ) -> Generator[Step, Any, Prediction]:
        """The prediction once it has ended, in whatever way. `by_version`: what to name as its version, instead of asking for it by name."""
        deployment = call.deployment
        base = self._vendor.base(deployment)
        version = by_version or self._vendor.version_of(deployment)
        body: dict[str, Any] = {"input": asked} if version is None else {"input": asked, "version": version}
        url = f"{base}/predictions" if by_version else self._vendor.predictions_url(deployment)
        patience_s = deployment.timeouts.first_byte_s
        wait_s = _WAIT_S if patience_s is None else max(1, min(_WAIT_S, int(patience_s - _MARGIN_S)))
        create = self.request(call, "POST", url, Payload(to_provider(body)), ("prefer", f"wait={wait_s}"))
        prediction = from_provider(_prediction, (yield from ask(create)).body)
        here = f"{base}/predictions/{quote(prediction.id, safe='')}"
        yield OnAbandon(self.request(call, "POST", f"{here}/cancel"))
        pause_s = _FIRST_PAUSE_S
        while prediction.status in _RUNNING:
            yield Pause(pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
            look = self.request(call, "GET", here)
            prediction = from_provider(_prediction, (yield from looked(look, pause_s=pause_s)).body)
        yield OnAbandon(None)
        return prediction

    def link(self, data: bytes, media_type: str | None, name: str, call: OfferCall) -> Generator[Step, Any, str]:
        """Where Replicate finds a file: in a data URL, or, if it is large, where it was uploaded to."""
        kind = media_type or "application/octet-stream"
        if len(data) <= _INLINE_BYTES:
            return f"data:{kind};base64,{base64.b64encode(data).decode()}"
        form = build_form([FormPart(name="content", data=data, filename=name, content_type=kind)])
        answer = yield from ask(self.request(call, "POST", f"{self._vendor.base(call.deployment)}/files", form))
        yield Billed(Usage())  # files are free
        return from_provider(_file, answer.body).urls.get

    def fetched(self, url: str, call: OfferCall) -> Generator[Step, Any, bytes]:
        """A file that a prediction has made: the key is shown to Replicate alone, and who else is asked is asked with care."""
        answer: HttpAnswer
        if same_origin(url, self._vendor.base(call.deployment)):
            answer = yield from looked(self.request(call, "GET", url))
        elif url.startswith("https://") and f".{host_of(url)}".endswith(_DELIVERY):
            answer = yield from looked(HttpRequest("GET", url, ()))  # such files need no key
        else:
            answer = yield from ask(Download(url))
        return answer.body

    def request(
        self, call: OfferCall, method: str, url: str, body: Payload | None = None, *more: tuple[str, str]
    ) -> HttpRequest:
        kind = () if body is None else (("content-type", body.content_type),)
        headers = (*kind, *more, *self._vendor.own_headers(call))
        return HttpRequest(method, url, headers, b"" if body is None else body.data)


def addresses(output: Any, *members: str) -> list[str]:
    """The models give an address, a list of them, or an object that holds either in one of `members`."""
    if isinstance(output, dict):
        output = next((output[name] for name in members if output.get(name)), None)
    found = output if isinstance(output, list) else [output]
    return [url for url in found if isinstance(url, str) and url.startswith(("https://", "http://", "data:"))]


def inline_data(url: str) -> str | None:
    """The base64 of a data URL; None for an address. Whoever made the model decides what is in it.

    Raises: UpstreamProtocolError for what is no base64.
    """
    found = _DATA_URL.match(url)
    if found is None:
        return None
    data = url[found.end() :]
    try:
        base64.b64decode(data, validate=True)
    except ValueError as error:
        raise not_of_protocol("a data URL that is no base64") from error
    return data
