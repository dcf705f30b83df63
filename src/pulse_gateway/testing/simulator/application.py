"""From a request to its delivery: routing, faults, bookkeeping. No sockets here."""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

import msgspec

from pulse_gateway.testing.simulator.answer import compose
from pulse_gateway.testing.simulator.anthropic.vendor import Anthropic
from pulse_gateway.testing.simulator.config import Config, Pace
from pulse_gateway.testing.simulator.delivery import Delivery, apply_faults
from pulse_gateway.testing.simulator.dice import identifier
from pulse_gateway.testing.simulator.faults import Faults, FaultSpecError, parse_faults
from pulse_gateway.testing.simulator.gemini.vendor import Gemini
from pulse_gateway.testing.simulator.openai.vendor import OpenAI
from pulse_gateway.testing.simulator.stats import Record, Statistics, Tracker
from pulse_gateway.testing.simulator.surface import Surface, Work
from pulse_gateway.testing.simulator.surfaces import SURFACES
from pulse_gateway.testing.simulator.vendor import Chat, Frame, Refusal, Request, Target, Vendor

__all__ = ["Application"]

_JSON = "application/json"
_HTML = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><h1>502 Bad Gateway</h1></body>\r\n</html>\r\n"
_GEMINI_CALL = re.compile(r"/(?:v1|v1beta)/models/(.+):(generateContent|streamGenerateContent)")
_MODELS = re.compile(r"/(v1|v1beta)/models(?:/([^:]+))?")
_STATS_ENCODER = msgspec.json.Encoder()


class _Exchange(NamedTuple):
    """One request under way."""

    vendor: Vendor | Surface
    target: Target
    request_id: str
    tracker: Tracker


class Application:
    """Answers requests for all vendors; the same seed and body give the same answer, byte for byte."""

    def __init__(self, seed: int, config: Config) -> None:
        self.seed = seed
        self.statistics = Statistics(seed)
        self._config = config
        self._openai: Vendor = OpenAI(seed, config)
        self._anthropic: Vendor = Anthropic(seed, config)
        self._gemini: Vendor = Gemini(seed, config)
        self._surfaces = [make(seed, config) for make in SURFACES]
        self._default_faults = parse_faults(config.answers.faults)
        self._seen: Counter[tuple[str, str, str]] = Counter()  # for `first` and `every`
        self._requests = 0

    def reset(self) -> None:
        self.statistics.reset()
        self._seen.clear()
        for surface in self._surfaces:
            surface.reset()

    def close(self) -> None:
        """End what surfaces do by themselves."""
        for surface in self._surfaces:
            surface.reset()

    def answer(self, request: Request) -> Delivery:
        """Never raises for anything a client can send."""
        if request.path in {"/_stats", "/_reset"}:
            return self._own(request)
        for surface in self._surfaces:
            if (found := surface.route(request)) is not None:
                return self._serve(surface, found, request)
        vendor, target = self._route(request)
        self._requests += 1
        request_id = identifier("req_", f"{self.seed} {self._requests}".encode())
        record = Record(
            id=request_id,
            caller_request_id=request.headers.get("x-request-id"),
            traceparent=request.headers.get("traceparent"),
            provider=vendor.name,
            model=target.model,
            stream=target.stream,
        )
        try:
            vendor.admit(request, target)
            if target.operation == "models":
                return Delivery(
                    headers=vendor.head(request_id),
                    content_type=_JSON,
                    frames=[Frame(vendor.models(target))],
                    tracker=self.statistics.begin(record),
                )
            chat = vendor.read(request, target)
            record.model, record.stream, record.units = chat.model, chat.stream, chat.units
            faults = self._faults(vendor, chat, request)
        except Refusal as refusal:
            return _refused(_Exchange(vendor, target, request_id, self.statistics.begin(record)), refusal)
        except (FaultSpecError, RecursionError) as error:  # of JSON that is nested too deeply
            exchange = _Exchange(vendor, target, request_id, self.statistics.begin(record))
            return _refused(exchange, vendor.invalid(str(error)))
        return self._delivery(_Exchange(vendor, target, request_id, self.statistics.begin(record)), chat, faults)

    def _serve(self, surface: Surface, target: Target, request: Request) -> Delivery:
        """An operation beside chat, or a chat under another path."""
        self._requests += 1
        request_id = identifier("req_", f"{self.seed} {self._requests}".encode())
        record = Record(
            id=request_id,
            caller_request_id=request.headers.get("x-request-id"),
            traceparent=request.headers.get("traceparent"),
            provider=surface.name,
            model=target.model,
            operation=target.operation,
        )
        try:
            surface.admit(request, target)
            work = surface.work(request, target)
            record.model, record.stream, record.units = work.model, work.stream, work.units
            faults = self._faults(surface, work, request)
        except Refusal as refusal:
            return _refused(_Exchange(surface, target, request_id, self.statistics.begin(record)), refusal)
        except (FaultSpecError, RecursionError) as error:
            exchange = _Exchange(surface, target, request_id, self.statistics.begin(record))
            return _refused(exchange, surface.invalid(str(error)))
        exchange = _Exchange(surface, target, request_id, self.statistics.begin(record))
        if isinstance(work, Chat):
            return self._delivery(exchange, work, faults)
        if work.tab is not None:
            work.tab.bind(exchange.tracker)
        if (failed := self._injected(exchange, faults, stream=work.stream)) is not None:
            return failed
        delivery = Delivery(
            status=work.status,
            headers=surface.head(request_id) + work.headers,
            content_type=work.content_type,
            frames=work.render(faults),
            chunked=work.stream,
            usage=work.usage,
            tracker=exchange.tracker,
        )
        self._bend(delivery, exchange, faults)
        return delivery

    def _injected(self, exchange: _Exchange, faults: Faults, *, stream: bool) -> Delivery | None:
        """The error answer that `faults` asks for, if it asks for one."""
        if not (faults.is_error or faults.html or (faults.error is not None and not stream)):
            return None
        vendor = exchange.vendor
        delivery = _refused(exchange, vendor.injected(faults))
        if faults.html:
            delivery.status = 502 if faults.status is None else faults.status
            delivery.content_type, delivery.frames = "text/html; charset=UTF-8", [Frame(_HTML)]
        apply_faults(delivery, faults, Pace(), vendor.break_frame, b"")
        return delivery

    def _bend(self, delivery: Delivery, exchange: _Exchange, faults: Faults) -> None:
        """A good answer, as `faults` wants it."""
        vendor, error_frame = exchange.vendor, b""
        if faults.error is not None:
            refusal = vendor.injected(faults)
            is_first = faults.error == 0
            error_frame = vendor.error_frame(refusal, exchange.request_id, exchange.target, is_first=is_first)
        apply_faults(delivery, faults, self._config.pace, vendor.break_frame, error_frame)

    def _delivery(self, exchange: _Exchange, chat: Chat, faults: Faults) -> Delivery:
        vendor = exchange.vendor
        if (failed := self._injected(exchange, faults, stream=chat.stream)) is not None:
            return failed
        answer = compose(chat.prompt, faults, self._config.answers)
        pieces = 1 if faults.huge is not None else self._config.answers.chunks
        if faults.chunks is None and pieces is not None:
            faults = msgspec.structs.replace(faults, chunks=pieces)
        delivery = Delivery(
            headers=vendor.head(exchange.request_id),
            content_type=chat.content_type,
            frames=chat.render(answer, faults),
            chunked=chat.stream,
            usage=answer.usage,
            tracker=exchange.tracker,
        )
        self._bend(delivery, exchange, faults)
        return delivery

    def _faults(self, vendor: Vendor | Surface, chat: Chat | Work, request: Request) -> Faults:
        """What this request is to suffer: from the header, else the model name, else the config."""
        spec = request.headers.get("x-simulate", chat.fault_spec)
        faults = parse_faults(spec) if spec else self._default_faults
        if faults.first is None and faults.every is None:
            return faults
        key = (vendor.name, chat.model, spec)
        self._seen[key] += 1
        if faults.first is not None and self._seen[key] > faults.first:
            return faults.spared()
        if faults.every is not None and self._seen[key] % faults.every:
            return faults.spared()
        return faults

    def _route(self, request: Request) -> tuple[Vendor, Target]:
        path, headers = request.path, request.headers
        if path == "/v1/chat/completions":
            return self._openai, Target(_chat_if(request))
        if path == "/v1/messages":
            return self._anthropic, Target(_chat_if(request))
        if call := _GEMINI_CALL.fullmatch(path):
            stream = call.group(2) == "streamGenerateContent"
            array = stream and request.query.get("alt") != "sse"
            return self._gemini, Target(_chat_if(request), call.group(1), stream=stream, json_array=array)
        is_gemini = path.startswith("/v1beta/") or "x-goog-api-key" in headers or "key" in request.query
        vendor = self._gemini if is_gemini else self._anthropic if "anthropic-version" in headers else self._openai
        if found := _MODELS.fullmatch(path):
            operation = "models" if request.method == "GET" else "wrong method"
            return vendor, Target(operation, model=found.group(2) or "", query=request.query)
        return vendor, Target("unknown path")

    def _own(self, request: Request) -> Delivery:
        """The simulator's own pages; nobody is billed or counted for them."""
        tracker = Statistics(self.seed).begin(
            Record(id="", caller_request_id=None, traceparent=None, provider="", model="")
        )
        if request.path == "/_reset" and request.method == "POST":
            self.reset()
            body = b"{}"
        elif request.path == "/_stats" and request.method == "GET":
            body = _STATS_ENCODER.encode(self.statistics.snapshot())
        else:
            body = b'{"error":"GET /_stats or POST /_reset"}'
            return Delivery(status=405, content_type=_JSON, frames=[Frame(body)], tracker=tracker)
        return Delivery(content_type=_JSON, frames=[Frame(body)], tracker=tracker)


def _chat_if(request: Request) -> str:
    return "chat" if request.method == "POST" else "wrong method"


def _refused(exchange: _Exchange, refusal: Refusal) -> Delivery:
    vendor, target, request_id, tracker = exchange
    return Delivery(
        status=refusal.status,
        headers=vendor.head(request_id) + refusal.headers,
        content_type=_JSON,
        frames=[Frame(vendor.envelope(refusal, request_id, target))],
        outcome="refused",
        tracker=tracker,
    )
