"""What those who copied OpenAI's API have in common: its requests and answers, bent where a vendor differs.

Each vendor is a subclass that says what it offers, refuses and adds. Paths are `/as/NAME/…`, with or without the vendor's
own `v1`, so that any of its base URLs works behind the prefix.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple

import msgspec

from pulse_gateway.testing.simulator.answer import Answer, fragments
from pulse_gateway.testing.simulator.compatible.pictures import PICTURE_PATH, picture_work
from pulse_gateway.testing.simulator.compatible.rerank import rerank
from pulse_gateway.testing.simulator.config import Config
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.openai.body import converted, json_body
from pulse_gateway.testing.simulator.openai.errors import injected, refuse
from pulse_gateway.testing.simulator.openai.models import Traits
from pulse_gateway.testing.simulator.openai.operations import Operations, broken_event, operation_error_frame
from pulse_gateway.testing.simulator.openai.reading import REASONING_TOKENS
from pulse_gateway.testing.simulator.openai.rendering import render_reply, render_stream
from pulse_gateway.testing.simulator.openai.schema import ChatRequest, StreamOptions
from pulse_gateway.testing.simulator.openai.vendor import chat_prompt
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.vendor import Chat, Frame, Refusal, Request, Target

__all__ = ["Chunk", "Compatible", "Told"]

_ENCODE = msgspec.json.encode
_DECODE = msgspec.json.decode
_BASE = re.compile(r"(?:(?:openai/v1|api/v1|inference/v1|v1|v2|beta)/)?(.+)")
_CHAT_MEMBERS = frozenset(ChatRequest.__struct_fields__)
_CREATED = 1_767_225_600
_MEDIA = frozenset({"file", "image_url", "input_audio", "input_file"})
_DATA = b"data: "
_DONE = b"data: [DONE]\n\n"


class Told(NamedTuple):
    """A chat, as it was sent and as it was understood, and the answer to it."""

    body: dict[str, Any]
    chat: ChatRequest
    answer: Answer
    faults: Faults

    @property
    def asks_for_usage(self) -> bool:
        options = self.body.get("stream_options") or {}
        return bool(options.get("include_usage"))


class Chunk(msgspec.Struct):
    """A chunk of a stream, and what is owed once it is out."""

    data: dict[str, Any]
    output_tokens: int
    reasoning_tokens: int


class Compatible:
    """Plain OpenAI, until a subclass says otherwise."""

    name: str = ""
    offers: ClassVar[frozenset[str]] = frozenset()  # operations beside chat and models
    extras: ClassVar[frozenset[str]] = frozenset()  # members of a chat that OpenAI does not know
    ignores_unknown: ClassVar[bool] = False
    needs_key: ClassVar[bool] = True
    reads: ClassVar[frozenset[str]] = frozenset({"image_url", "input_audio"})  # parts beside text
    reasoners: ClassVar[str] = "(?!)"  # names of models that reason, as a regular expression
    reasoning_field: ClassVar[str | None] = "reasoning_content"
    finishes: ClassVar[dict[str, str]] = {}  # OpenAI's finish reason → the vendor's
    usage_in: ClassVar[Literal["own", "finish", "asked"]] = "asked"  # a chunk of its own always, the last one, if asked
    listed: ClassVar[tuple[str, ...]] = ()
    comment: ClassVar[bytes] = b""  # before the first event
    padding: ClassVar[bytes] = b""  # before a whole answer
    ends_with_done: ClassVar[bool] = True

    def __init__(self, seed: int, config: Config) -> None:
        self._seed = seed
        self._accepted = frozenset(config.keys.accepted)
        self._operations = Operations(seed, config)
        self._prefix = f"/as/{self.name}/"
        self._reasons = re.compile(self.reasoners)

    # ── Surface ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def route(self, request: Request) -> Target | None:
        if not request.path.startswith(self._prefix):
            return None
        found = _BASE.fullmatch(request.path.removeprefix(self._prefix))
        path = found.group(1) if found else ""
        if path == "chat/completions":
            return Target("chat" if request.method == "POST" else "wrong method")
        if path == "models":
            return Target("models" if request.method == "GET" else "wrong method")
        if PICTURE_PATH.fullmatch(path):
            return Target("picture")
        target = Target("rerank") if path == "rerank" else self._operations.target(request.method, path)
        if target is None or target.operation.partition(".")[0] not in {*self.offers, "wrong method"}:
            return Target("unknown path")
        return target

    def admit(self, request: Request, target: Target) -> None:
        if target.operation == "unknown path":
            raise refuse(f"Unknown request URL: {request.method} {request.path}", code="unknown_url", status=404)
        if target.operation == "wrong method":
            raise refuse("Method not allowed", status=405)
        if not self.needs_key or target.operation == "picture":
            return
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key or key == "wrong" or (self._accepted and key not in self._accepted):
            raise refuse("Invalid API Key", code="invalid_api_key", status=401)

    def work(self, request: Request, target: Target) -> Work | Chat:
        try:
            return self.take(request, target)
        except Refusal as refusal:
            raise self.refused(refusal) from refusal

    def take(self, request: Request, target: Target) -> Work | Chat:
        """`work`, in OpenAI's words as far as it refuses."""
        if target.operation == "chat":
            return self._chat(request)
        if target.operation == "models":
            models = [
                {"id": name, "object": "model", "created": _CREATED, "owned_by": self.name} for name in self.listed
            ]
            data = _ENCODE({"object": "list", "data": models})
            return Work(model="", content_type="application/json", render=lambda faults: [Frame(data)])
        if target.operation == "picture" and (found := PICTURE_PATH.search(request.path)):
            return picture_work(found)
        if target.operation == "responses" and isinstance(items := json_body(request, "").get("input"), list):
            for at, item in enumerate(items):
                if isinstance(item, dict) and "file" not in self.reads:
                    self._readable(item.get("content"), f"input.{at}.content")
        if target.operation == "rerank":
            return rerank(json_body(request, ""), self._seed)
        return self._operations.work(request, target)

    def head(self, request_id: str) -> tuple[tuple[str, str], ...]:
        return (("x-request-id", request_id),)

    def invalid(self, message: str) -> Refusal:
        return refuse(message)

    def injected(self, faults: Faults) -> Refusal:
        return injected(faults)

    def envelope(self, refusal: Refusal, request_id: str, target: Target) -> bytes:
        return _ENCODE(self.error_body(refusal))

    def error_frame(self, refusal: Refusal, request_id: str, target: Target, *, is_first: bool) -> bytes:
        if target.operation != "chat":
            return operation_error_frame(refusal, target.operation)
        return _DATA + _ENCODE(self.error_body(refusal)) + b"\n\n"

    def break_frame(self, frame: bytes) -> bytes:
        return broken_event(frame)

    def reset(self) -> None:
        self._operations.reset()

    # ── what subclasses change ────────────────────────────────────────────────────────────────────────────────────────

    def check(self, body: dict[str, Any], messages: list[dict[str, Any]]) -> None:
        """Refuse what OpenAI would take. Members that OpenAI knows are of the right type already.

        Raises: Refusal.
        """

    def refused(self, refusal: Refusal) -> Refusal:
        """What is wrong with a request, in the vendor's words."""
        return refusal

    def plain(self, body: dict[str, Any]) -> dict[str, Any]:
        """The chat in OpenAI's words; `extras` are gone already."""
        return body

    def plain_message(self, message: dict[str, Any]) -> dict[str, Any]:
        return message

    def reasoning_tokens(self, body: dict[str, Any], model: str) -> int:
        """How long this model thinks about it."""
        if not self._reasons.search(model):
            return 0
        return REASONING_TOKENS.get(str(body.get("reasoning_effort") or "medium"), 32)

    def shows_reasoning(self, body: dict[str, Any]) -> bool:
        return True

    def message(self, message: dict[str, Any], reasoning: str) -> None:
        """A whole message, before it is sent."""
        if reasoning and self.reasoning_field is not None:
            message[self.reasoning_field] = reasoning

    def written_reasoning(self, reasoning: str) -> str:
        """How it reads where it is streamed."""
        return reasoning

    def reasoning_delta(self, piece: str) -> dict[str, Any]:
        """A piece of the reasoning, in a stream."""
        return {str(self.reasoning_field): piece}

    def reply(self, reply: dict[str, Any], told: Told) -> None:
        """A whole answer, before it is sent."""

    def chunks(self, chunks: list[Chunk], told: Told) -> None:
        """All of a stream, before it is sent."""

    def usage(self, usage: dict[str, Any], told: Told) -> None:
        """Add to it, and count otherwise."""

    def error_body(self, refusal: Refusal) -> Any:
        return {"error": refusal.error}

    def event(self, chunk: dict[str, Any]) -> bytes:
        return _DATA + _ENCODE(chunk) + b"\n\n"

    # ── chat ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _chat(self, request: Request) -> Chat:
        body = json_body(request, "")
        given = body.get("messages")
        plain = {name: value for name, value in body.items() if name not in self.extras}
        if self.ignores_unknown:
            plain = {name: value for name, value in plain.items() if name in _CHAT_MEMBERS}
        if isinstance(given, list):
            plain["messages"] = [self.plain_message(dict(each)) if isinstance(each, dict) else each for each in given]
        plain.pop("reasoning_effort", None)
        chat = converted(self.plain(plain), ChatRequest)
        for at, message in enumerate(body["messages"]):
            self._readable(message.get("content"), f"messages.{at}.content")
        self.check(body, body["messages"])
        model, spec = split_model(chat.model)
        prompt = chat_prompt(chat, self._seed, self.name, model, Traits())
        prompt.reasoning_tokens = self.reasoning_tokens(body, model)
        prompt.shows_reasoning = prompt.reasoning_tokens > 0 and self.shows_reasoning(body)
        stream = bool(chat.stream)
        return Chat(
            model=chat.model,
            fault_spec=spec,
            prompt=prompt,
            stream=stream,
            content_type="text/event-stream; charset=utf-8" if stream else "application/json",
            render=partial(self._stream if stream else self._reply, body, chat),
        )

    def _readable(self, content: Any, path: str) -> None:
        kinds = (
            [part.get("type") for part in content or () if isinstance(part, dict)] if isinstance(content, list) else []
        )
        for kind in kinds:
            if kind not in self.reads and kind in _MEDIA:
                raise refuse(f"Invalid content part type: {kind}", param=path)

    def _reply(self, body: dict[str, Any], chat: ChatRequest, answer: Answer, faults: Faults) -> list[Frame]:
        told = Told(body, chat, answer, faults)
        (frame,) = render_reply(chat, answer, faults)
        reply: dict[str, Any] = _DECODE(frame.data)
        for choice, said in zip(reply["choices"], answer.choices, strict=True):
            self.message(choice["message"], said.reasoning)
            choice["finish_reason"] = self._finish(choice["finish_reason"], faults)
        if "usage" in reply:
            self.usage(reply["usage"], told)
        self.reply(reply, told)
        frame.data = self.padding + _ENCODE(reply)
        return [frame]

    def _stream(self, body: dict[str, Any], chat: ChatRequest, answer: Answer, faults: Faults) -> list[Frame]:
        told = Told(body, chat, answer, faults)
        always = msgspec.structs.replace(
            chat, stream_options=StreamOptions(include_usage=True, include_obfuscation=False)
        )
        chunks = [
            Chunk(_DECODE(frame.data[len(_DATA) :]), frame.output_tokens, frame.reasoning_tokens)
            for frame in render_stream(always, answer, faults)
            if frame.data != _DONE
        ]
        for chunk in chunks:
            if chunk.data["usage"] is None:
                del chunk.data["usage"]
            for choice in chunk.data["choices"]:
                if choice["finish_reason"] is not None:
                    choice["finish_reason"] = self._finish(choice["finish_reason"], faults)
        self._place_reasoning(chunks, answer)
        self._place_usage(chunks, told)
        self.chunks(chunks, told)
        frames = [Frame(self.event(chunk.data), chunk.output_tokens, chunk.reasoning_tokens) for chunk in chunks]
        if frames and self.comment:
            frames[0].data = self.comment + frames[0].data
        if self.ends_with_done and not faults.no_done:
            frames.append(Frame(_DONE, answer.usage.output, answer.usage.reasoning))
        return frames

    def _finish(self, finish: str, faults: Faults) -> str:
        return finish if faults.finish is not None else self.finishes.get(finish, finish)

    def _place_reasoning(self, chunks: list[Chunk], answer: Answer) -> None:
        """Every choice thinks before it speaks."""
        for choice in answer.choices:
            at = next(
                at
                for at, chunk in enumerate(chunks)
                if any(each["index"] == choice.index for each in chunk.data["choices"])
            )
            first = chunks[at]
            if not choice.reasoning:
                continue
            pieces = fragments(self.written_reasoning(choice.reasoning), answer.digest, f"reasoning {choice.index}")
            chunks[at + 1 : at + 1] = [
                Chunk(
                    {
                        **first.data,
                        "choices": [
                            {
                                "index": choice.index,
                                "delta": self.reasoning_delta(piece),
                                "logprobs": None,
                                "finish_reason": None,
                            }
                        ],
                    },
                    first.output_tokens,
                    first.reasoning_tokens,
                )
                for piece in pieces
            ]

    def _place_usage(self, chunks: list[Chunk], told: Told) -> None:
        last = chunks[-1]
        if "usage" not in last.data:
            return
        self.usage(last.data["usage"], told)
        if self.usage_in == "finish":
            chunks.pop()
            chunks[-1].data["usage"] = last.data["usage"]
        elif self.usage_in == "asked" and not told.asks_for_usage:
            chunks.pop()
