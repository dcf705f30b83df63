"""A chat with a language model at Replicate: a prediction that is begun, then waited for, or heard as it writes.

Source: https://replicate.com/docs/reference/http, /docs/topics/predictions/streaming, /docs/topics/predictions/lifecycle and replicate 1.0.7 (read
2026-11-24)
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec

from pulse_gateway.providers.looks import looked
from pulse_gateway.providers.offer import Billed, OfferCall, OnAbandon, Pause, Step, Steps, Streamed, ask
from pulse_gateway.providers.provider import UpstreamCall
from pulse_gateway.providers.replicate_files import uploaded
from pulse_gateway.providers.replicate_videos import ReplicateAddress
from pulse_gateway.providers.video_parts import host_of, same_origin
from pulse_gateway.types.http import HttpAnswer, HttpRequest
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.foreign_json import not_of_protocol, to_provider
from pulse_gateway.wire.replicate_predictions.reply import RUNNING, Prediction, failure, read_prediction
from pulse_gateway.wire.replicate_predictions.stream import closing_frame

__all__ = ["ReplicateChat"]

_FILES = ("image", "images", "image_input", "audio")  # inputs that are files, or lists of them
_WAIT_S, _MARGIN_S = 60, 5.0  # for the first answer: at most, and less than we wait for a byte
_LEAST_CANCEL_S = 5
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 3.0
_HOSTS = (".replicate.com", ".replicate.net", ".replicate.delivery")  # where it streams
_EVENTS = (("content-type", "text/event-stream"),)

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class ReplicateChat:
    """The steps of it."""

    def __init__(self, vendor: ReplicateAddress) -> None:
        self._vendor = vendor

    def created(self, call: UpstreamCall, left_s: float = math.inf) -> HttpRequest:
        """The request that begins it. `left_s`: after that nobody waits any more, and Replicate shall end it by itself."""
        return self._create(_decode(call.body), call, left_s)

    def steps(self, call: UpstreamCall, left_s: float, /) -> Steps[HttpAnswer | Streamed]:
        """Raises: UpstreamError."""
        body = _decode(call.body)
        yield from self._upload(body["input"], call)
        answer = yield from ask(self._create(body, call, left_s))
        prediction = read_prediction(answer.body)
        here = f"{self._vendor.base(call.deployment)}/predictions/{quote(prediction.id, safe='')}"
        cancel = self._request(call, "POST", f"{here}/cancel")
        yield OnAbandon(cancel)
        if call.stream and prediction.status in RUNNING and prediction.urls.stream:
            heard = self._heard(prediction.urls.stream, call)
            return Streamed(heard, partial(self._closing, here, call), cancel)
        answer = yield from self._ended(answer, here, call)
        yield OnAbandon(None)
        prediction = read_prediction(answer.body)
        yield from _never_ran(prediction)
        if prediction.status != "succeeded":
            raise failure(prediction.status, prediction.error)
        return HttpAnswer(200, _EVENTS, closing_frame(answer.body)) if call.stream else answer

    def _closing(self, here: str, call: UpstreamCall) -> Steps[bytes]:
        """After its stream: what became of it, and what it used."""
        answer = yield from looked(self._request(call, "GET", here), pause_s=_FIRST_PAUSE_S)
        answer = yield from self._ended(answer, here, call)
        yield from _never_ran(read_prediction(answer.body))
        return closing_frame(answer.body)

    def _ended(self, answer: HttpAnswer, here: str, call: UpstreamCall) -> Generator[Step, Any, HttpAnswer]:
        """The prediction once it has ended, in whatever way."""
        pause_s = _FIRST_PAUSE_S
        while read_prediction(answer.body).status in RUNNING:
            yield Pause(pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
            answer = yield from looked(self._request(call, "GET", here), pause_s=pause_s)
        return answer

    def _upload(self, asked: dict[str, Any], call: UpstreamCall) -> Generator[Step, Any, None]:
        """What is too large for a data URL goes ahead."""
        for name in _FILES:
            given = asked.get(name)
            if isinstance(given, str):
                asked[name] = yield from uploaded(given, self._vendor, _as_offer(call))
            elif isinstance(given, list):
                for place, link in enumerate(given):
                    given[place] = yield from uploaded(link, self._vendor, _as_offer(call))

    def _create(self, body: dict[str, Any], call: UpstreamCall, left_s: float) -> HttpRequest:
        deployment = call.deployment
        if (version := self._vendor.version_of(deployment)) is not None:
            body = {**body, "version": version}
        more: list[tuple[str, str]] = []
        if not call.stream:
            patience_s = min(deployment.timeouts.first_byte_s or math.inf, left_s) - _MARGIN_S
            more.append(("prefer", f"wait={max(1, int(min(_WAIT_S, patience_s)))}"))
        if left_s < math.inf:
            more.append(("cancel-after", f"{max(_LEAST_CANCEL_S, math.ceil(left_s))}s"))
        url = self._vendor.predictions_url(deployment)
        return self._request(call, "POST", url, to_provider(body), *more)

    def _heard(self, url: str, call: UpstreamCall) -> HttpRequest:
        """Raises: UpstreamProtocolError for an address that is not Replicate's: the key goes there."""
        base = self._vendor.base(call.deployment)
        if not same_origin(url, base) and not (url.startswith("https://") and f".{host_of(url)}".endswith(_HOSTS)):
            raise not_of_protocol("a stream at an address that is not the provider's")
        headers = (("accept", "text/event-stream"), *self._vendor.own_headers(_as_offer(call)))
        return HttpRequest("GET", url, headers)

    def _request(
        self, call: UpstreamCall, method: str, url: str, body: bytes = b"", *more: tuple[str, str]
    ) -> HttpRequest:
        kind = (("content-type", "application/json"),) if body else ()
        return HttpRequest(method, url, (*kind, *more, *self._vendor.own_headers(_as_offer(call))), body)


def _never_ran(prediction: Prediction) -> Iterator[Step]:
    """Says that nothing is billed of one that has not even begun."""
    if prediction.status == "aborted":
        yield Billed(Usage())


def _as_offer(call: UpstreamCall) -> OfferCall:
    return OfferCall(deployment=call.deployment, trace_headers=call.trace_headers)
