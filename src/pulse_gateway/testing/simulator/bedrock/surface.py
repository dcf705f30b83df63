"""Bedrock behind the server's `Surface` face.

Source: the service model of bedrock-runtime 2023-09-30 in botocore 1.44.8
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from typing import Literal, TypeVar

import msgspec
from msgspec import UNSET

from pulse_gateway.testing.simulator.answer import Usage
from pulse_gateway.testing.simulator.bedrock.errors import exception_of, injected, invalid_shape, refuse
from pulse_gateway.testing.simulator.bedrock.eventstream import break_message, exception
from pulse_gateway.testing.simulator.bedrock.guardrails import GuardrailRequest, judge
from pulse_gateway.testing.simulator.bedrock.invocations import Invocations, StartRequest
from pulse_gateway.testing.simulator.bedrock.invoke import invoke
from pulse_gateway.testing.simulator.bedrock.models import BedrockModel, bedrock_model
from pulse_gateway.testing.simulator.bedrock.pictures import makes_pictures, paint
from pulse_gateway.testing.simulator.bedrock.reading import member
from pulse_gateway.testing.simulator.bedrock.rendering import Style, render_reply, render_stream
from pulse_gateway.testing.simulator.bedrock.rules import read_conversation, read_prompt
from pulse_gateway.testing.simulator.bedrock.schema import ConverseRequest, CountTokensRequest
from pulse_gateway.testing.simulator.bedrock.signing import check_caller
from pulse_gateway.testing.simulator.bedrock.storage import error_body, is_storage, refuse_key, serve
from pulse_gateway.testing.simulator.config import Config
from pulse_gateway.testing.simulator.dice import decode_base64
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.jobs import steering
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.tokens import count_bytes
from pulse_gateway.testing.simulator.vendor import Chat, Frame, Refusal, Request, Target

__all__ = ["Bedrock"]

S = TypeVar("S", bound=msgspec.Struct)
_ENCODE = msgspec.json.encode
_JSON = "application/json"
_STREAM = "application/vnd.amazon.eventstream"
_PATH = re.compile(r"/model/(.+)/(converse|converse-stream|count-tokens|invoke|invoke-with-response-stream)")
_OPERATIONS = {"converse": "chat", "converse-stream": "chat", "count-tokens": "count_tokens", "invoke": "invoke"}
_ASYNC = re.compile(r"/async-invoke(?:/(.+))?")
_GUARDRAIL = re.compile(r"/guardrail/(.+)/version/([^/]+)/apply")
_GUARDRAIL_ID = re.compile(r"(?:arn:aws(?:-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:guardrail/)?[a-z0-9]+")
_VERSION = re.compile(r"[1-9][0-9]{0,7}|DRAFT")
_CONVERSE = msgspec.json.Decoder(ConverseRequest)
_COUNT = msgspec.json.Decoder(CountTokensRequest)
_START = msgspec.json.Decoder(StartRequest)
_APPLY = msgspec.json.Decoder(GuardrailRequest)
_MAX_BODY_BYTES = 25_000_000


class Bedrock:
    """`now` gives seconds since the epoch, for the age of signatures."""

    name = "bedrock"

    def __init__(self, seed: int, config: Config, now: Callable[[], float] = time.time) -> None:
        self._seed = seed
        self._aws = config.aws
        self._keys = frozenset(config.keys.accepted)
        self._now = now
        self._invocations = Invocations(seed, now)

    def route(self, request: Request) -> Target | None:
        if is_storage(request):
            return Target("file", request.path)
        if found := _ASYNC.fullmatch(request.path):
            calls = {("POST", False): "videos", ("GET", True): "poll", ("GET", False): "jobs"}
            return Target(calls.get((request.method, found.group(1) is not None), "unknown path"), found.group(1) or "")
        if found := _GUARDRAIL.fullmatch(request.path):
            model = f"guardrail/{found.group(1)}:{found.group(2)}"
            return Target("moderation" if request.method == "POST" else "wrong method", model)
        if not request.path.startswith("/model/"):
            return None
        found = _PATH.fullmatch(request.path)
        if found is None:
            return Target("unknown path")
        if request.method != "POST":
            return Target("wrong method", found.group(1))
        call = found.group(2)
        return Target(_OPERATIONS.get(call, "unknown path"), found.group(1), stream=call == "converse-stream")

    def admit(self, request: Request, target: Target) -> None:
        if target.operation in {"unknown path", "wrong method"}:
            raise refuse(name="UnknownOperationException")
        service: Literal["bedrock", "s3"] = "s3" if target.operation == "file" else "bedrock"
        check_caller(request, self._aws, self._keys, self._now(), service)

    def work(self, request: Request, target: Target) -> Work | Chat:
        if len(request.body) > _MAX_BODY_BYTES:
            raise refuse("Input is too long for requested model.")
        match target.operation:
            case "file":
                return self._file(target)
            case "videos":
                return self._invocations.start(request, _decode(request, _START))
            case "poll":
                return self._invocations.look(target.model)
            case "jobs":
                return self._invocations.list(request.query)
            case "moderation":
                return self._judge(request, target)
        model_id, spec = split_model(target.model)
        model = bedrock_model(model_id)
        if model is None:
            raise refuse("The provided model identifier is invalid.")
        match target.operation:
            case "chat":
                return self._converse(request, target, model, model_id, spec)
            case "count_tokens":
                return self._count(request, target, model, model_id, spec)
        if makes_pictures(model):
            return self._paint(request, target, model, spec)
        invoked = invoke(model, model_id, request.body)
        counted = str(invoked.input_tokens)
        return Work(
            model=target.model,
            content_type=_JSON,
            fault_spec=spec,
            headers=(("x-amzn-bedrock-input-token-count", counted), ("x-amzn-bedrock-invocation-latency", "100")),
            usage=Usage(input=invoked.input_tokens),
            units=dict(invoked.units),
            render=lambda _: [Frame(_ENCODE(invoked.reply))],
        )

    def _converse(self, request: Request, target: Target, model: BedrockModel, model_id: str, spec: str) -> Chat:
        asked = _decode(request, _CONVERSE)
        guardrail = asked.guardrail_config
        guarded: str | None = None
        traces = False
        if guardrail is not UNSET:
            if not guardrail.guardrail_identifier or not guardrail.guardrail_version:
                raise refuse("guardrailConfig: guardrailIdentifier and guardrailVersion must both be given")
            if guardrail.stream_processing_mode is not UNSET and not target.stream:
                raise refuse("extraneous key [streamProcessingMode] is not permitted at guardrailConfig")
            guarded, traces = guardrail.guardrail_identifier, guardrail.trace in {"enabled", "enabled_full"}
        prompt, omits, long_cache = read_prompt(asked, model, self._seed, model_id)
        paths = asked.additional_model_response_field_paths
        performance = asked.performance_config
        style = Style(
            seed=self._seed,
            signs_thinking=model.maker in {"anthropic", ""},
            omits_thinking=omits,
            long_cache=long_cache,
            guardrail=guarded,
            traces=traces,
            paths=tuple(paths) if paths is not UNSET else (),
            latency=performance.latency if performance is not UNSET and performance.latency is not UNSET else None,
            tier=asked.service_tier.type if asked.service_tier is not UNSET else None,
        )
        return Chat(
            model=target.model,
            fault_spec=spec,
            prompt=prompt,
            stream=target.stream,
            content_type=_STREAM if target.stream else _JSON,
            render=partial(render_stream if target.stream else render_reply, style),
        )

    def _count(self, request: Request, target: Target, model: BedrockModel, model_id: str, spec: str) -> Work:
        kind, value = member(_decode(request, _COUNT).input, "input")
        if kind == "converse":
            _, tally, _ = read_conversation(value, model, self._seed, model_id)
            tokens = tally.tokens
        else:
            body = decode_base64(value.body)
            if body is None:
                raise refuse("input.invokeModel.body: not base64")
            tokens = count_bytes(len(body))
        return Work(
            model=target.model,
            content_type=_JSON,
            fault_spec=spec,
            render=lambda faults: [Frame(_ENCODE({"inputTokens": tokens if faults.input is None else faults.input}))],
        )

    def _paint(self, request: Request, target: Target, model: BedrockModel, spec: str) -> Work:
        painted = paint(model, request.body, self._seed, steering(request, spec))
        return Work(
            model=target.model,
            content_type=_JSON,
            fault_spec=spec,
            units={"images": painted.made} if painted.made else {},
            render=lambda _: [Frame(_ENCODE(painted.reply))],
        )

    def _judge(self, request: Request, target: Target) -> Work:
        name, _, version = target.model.removeprefix("guardrail/").rpartition(":")
        version, spec = split_model(version)
        if not _GUARDRAIL_ID.fullmatch(name) or not _VERSION.fullmatch(version):
            raise refuse("The guardrail identifier or version provided in the request is invalid.")
        if name.endswith("unknown"):
            raise refuse(
                "The guardrail identifier or version provided in the request does not exist.",
                name="ResourceNotFoundException",
            )
        judged = judge(_decode(request, _APPLY), steering(request, spec))
        return Work(
            model=target.model,
            content_type=_JSON,
            fault_spec=spec,
            units={"text_units": judged.units},
            render=lambda _: [Frame(_ENCODE(judged.reply))],
        )

    def _file(self, target: Target) -> Work:
        data = self._invocations.file(target.model)
        if data is None:
            raise refuse_key(target.model)
        return serve(data)

    def head(self, request_id: str) -> tuple[tuple[str, str], ...]:
        return (("x-amzn-requestid", request_id),)

    def invalid(self, message: str) -> Refusal:
        return refuse(message)

    def injected(self, faults: Faults) -> Refusal:
        return injected(faults)

    def envelope(self, refusal: Refusal, request_id: str, target: Target) -> bytes:
        return error_body(refusal, request_id) if target.operation == "file" else _ENCODE(refusal.error)

    def error_frame(self, refusal: Refusal, request_id: str, target: Target, *, is_first: bool) -> bytes:
        return exception(exception_of(refusal), _ENCODE(refusal.error))

    def break_frame(self, frame: bytes) -> bytes:
        return frame[: len(frame) // 2] if frame.startswith(b"{") else break_message(frame)

    def reset(self) -> None:
        self._invocations.reset()


def _decode(request: Request, decoder: msgspec.json.Decoder[S]) -> S:
    if not request.headers.get("content-type", _JSON).lower().startswith(_JSON):
        raise refuse("content-type must be application/json")
    try:
        return decoder.decode(request.body)
    except msgspec.ValidationError as error:
        raise invalid_shape(error) from error
    except msgspec.DecodeError as error:
        raise refuse(f"The request body is not valid JSON: {error}") from error
