"""`/v1/responses` and what lies under it."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from pulse_gateway.testing.simulator.answer import Answer
from pulse_gateway.testing.simulator.config import Config
from pulse_gateway.testing.simulator.dice import identifier
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.openai.body import converted, json_body
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.openai.models import Traits, traits_of
from pulse_gateway.testing.simulator.openai.responses.events import event_frames
from pulse_gateway.testing.simulator.openai.responses.items import Item, check_items, parse_items
from pulse_gateway.testing.simulator.openai.responses.reading import ResponseReader
from pulse_gateway.testing.simulator.openai.responses.reply import (
    Spoken,
    cut_short,
    output_items,
    response_object,
)
from pulse_gateway.testing.simulator.openai.responses.rules import allowed, check, check_format, parse_tools
from pulse_gateway.testing.simulator.openai.responses.schema import CountRequest, ResponseRequest
from pulse_gateway.testing.simulator.openai.responses.store import Kept, Store
from pulse_gateway.testing.simulator.openai.vendor import check_family
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.tokens import Tally
from pulse_gateway.testing.simulator.vendor import Chat, Frame, Refusal, Request

__all__ = ["Responses"]

_JSON = "application/json"
_EVENTS = "text/event-stream; charset=utf-8"
_ENCODE = msgspec.json.encode
_PREFIXES = {
    "message": "msg_",
    "function_call": "fc_",
    "function_call_output": "fco_",
    "custom_tool_call": "ctc_",
    "custom_tool_call_output": "ctco_",
}
_PAGE = 20
_MOST_ON_A_PAGE = 100


class Responses:
    """Answers like the chat model of the same name; keeps what it said unless `store` is false."""

    def __init__(self, seed: int, config: Config, vendor: str = "openai") -> None:
        self._seed = seed
        self._vendor = vendor
        self._models = config.models
        self._store = Store()

    def reset(self) -> None:
        self._store.clear()

    def create(self, request: Request, path_model: str) -> Chat:
        """Raises: Refusal."""
        body = converted(json_body(request, path_model), ResponseRequest)
        model, spec = split_model(body.model)
        check_family(model, self._models)
        traits = traits_of(model)
        reader, items, before = self._read(body, model)
        tools = parse_tools(body.tools)
        names, must_call = allowed(body, tools)
        check(body, model, traits)
        check_format(body, reader.said)
        offered = reader.tools(tools)
        prompt = reader.prompt(
            body, traits, [tool for tool in offered if tool.name in names], must_call=must_call and bool(names)
        )
        stream = bool(body.stream)
        return Chat(
            model=body.model,
            fault_spec=spec,
            prompt=prompt,
            stream=stream,
            content_type=_EVENTS if stream else _JSON,
            render=partial(self._render, body, traits, items, before, reader.writes_for_12_h),
        )

    def count(self, request: Request, path_model: str) -> Work:
        """Raises: Refusal."""
        body = converted(json_body(request, path_model), CountRequest)
        model, spec = split_model(body.model or "")
        check_family(model, self._models)
        reader, _, _ = self._read(body, model)
        tools = parse_tools(body.tools)
        allowed(body, tools)
        reader.tools(tools)
        tokens = reader.tokens
        return Work(
            model=body.model or "",
            fault_spec=spec,
            content_type=_JSON,
            render=lambda faults: [
                Frame(_ENCODE({"object": "response.input_tokens", "input_tokens": faults.input or tokens}))
            ],
        )

    def retrieve(self, request: Request, _: str) -> Work:
        """Raises: Refusal."""
        kept = self._find(request)
        if request.query.get("stream") == "true":
            after = request.query.get("starting_after")
            if after is not None and not after.isdecimal():
                raise refuse("Invalid 'starting_after': expected a number.", param="starting_after")
            return _answer(kept, kept.stream()[0 if after is None else int(after) + 1 :], stream=True)
        shown = kept.reply
        if kept.waits:
            shown = {**shown, "status": "in_progress", "output": [], "usage": None, "completed_at": None}
            kept.waits = False
        return _answer(kept, [Frame(_ENCODE(shown))])

    def delete(self, request: Request, _: str) -> Work:
        """Raises: Refusal."""
        kept = self._find(request)
        self._store.forget(kept.reply["id"])
        return _answer(kept, [Frame(_ENCODE({"id": kept.reply["id"], "object": "response", "deleted": True}))])

    def cancel(self, request: Request, _: str) -> Work:
        """Raises: Refusal."""
        kept = self._find(request)
        if not kept.reply["background"]:
            raise refuse("Cannot cancel a synchronous response.")
        if kept.waits:
            kept.reply |= {"status": "cancelled", "output": [], "completed_at": None}
            kept.waits = False
        return _answer(kept, [Frame(_ENCODE(kept.reply))])

    def input_items(self, request: Request, _: str) -> Work:
        """Raises: Refusal."""
        kept = self._find(request)
        query = request.query
        items = kept.input_items if query.get("order") == "asc" else kept.input_items[::-1]
        ids = [item["id"] for item in items]
        if (after := query.get("after")) is not None:
            if after not in ids:
                raise refuse(f"Item with id '{after}' not found.", param="after")
            items = items[ids.index(after) + 1 :]
        limit = query.get("limit") or str(_PAGE)
        if not limit.isdecimal() or not 1 <= int(limit) <= _MOST_ON_A_PAGE:
            raise refuse(f"Invalid 'limit': expected a number from 1 to {_MOST_ON_A_PAGE}.", param="limit")
        page = items[: int(limit)]
        listed = {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": len(items) > len(page),
        }
        return _answer(kept, [Frame(_ENCODE(listed))])

    def _find(self, request: Request) -> Kept:
        response_id = request.path.partition("/responses/")[2].partition("/")[0]
        kept = self._store.find(response_id)
        if kept is None:
            raise refuse(f"Response with id '{response_id}' not found.", status=404)
        return kept

    def _read(
        self, body: ResponseRequest | CountRequest, model: str
    ) -> tuple[ResponseReader, list[Item], list[dict[str, Any]]]:
        """Everything said so far, and what of it came before this request.

        Raises: Refusal.
        """
        before = self._before(body)
        if body.input is None and body.previous_response_id is None:
            raise refuse(
                "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation' must be provided.",
                code="missing_required_parameter",
                param="input",
            )
        if body.input == []:
            raise refuse("Invalid 'input': empty array.", code="empty_array", param="input")
        earlier = parse_items(before, self._store, self._seed, "conversation")
        items = parse_items(body.input or [], self._store, self._seed)
        check_items(earlier, items)
        reader = ResponseReader(Tally(self._seed, self._vendor, model))
        reader.read(body, [*earlier, *items], len(earlier))
        return reader, items, before

    def _before(self, body: ResponseRequest | CountRequest) -> list[dict[str, Any]]:
        if body.conversation is not None:
            name = body.conversation if isinstance(body.conversation, str) else body.conversation.get("id")
            raise refuse(f"Conversation with id '{name}' not found.", param="conversation", status=404)
        if isinstance(body, ResponseRequest) and body.prompt is not None:
            raise refuse(f"Prompt with id '{body.prompt.id}' not found.", param="prompt", status=404)
        if body.previous_response_id is None:
            return []
        kept = self._store.find(body.previous_response_id)
        if kept is None:
            raise _no_previous(body.previous_response_id)
        return kept.conversation

    def _render(
        self,
        body: ResponseRequest,
        traits: Traits,
        items: list[Item],
        before: list[dict[str, Any]],
        ttl_12h: bool,
        answer: Answer,
        faults: Faults,
    ) -> list[Frame]:
        spoken = Spoken(request=body, traits=traits, answer=answer, faults=faults, seed=self._seed, ttl_12h=ttl_12h)
        if faults.fail is not None:
            cut_short(spoken)
        output = output_items(spoken)
        reply = response_object(spoken, spoken.status, output)
        if body.store is not False:
            self._keep(spoken, reply, items, before)
        if body.stream:
            return event_frames(spoken, output)
        shown = response_object(spoken, "queued", []) if body.background else reply
        return [Frame(_ENCODE(shown), answer.usage.output, answer.usage.reasoning)]

    def _keep(self, spoken: Spoken, reply: dict[str, Any], items: list[Item], before: list[dict[str, Any]]) -> None:
        asked = [_kept_item(item, spoken, at) for at, item in enumerate(items)]
        self._store.keep(
            Kept(
                reply=reply,
                input_items=asked,
                conversation=[*before, *asked, *reply["output"]],
                stream=partial(event_frames, spoken, reply["output"]),
                waits=bool(spoken.request.background and not spoken.request.stream),
            )
        )


def _kept_item(item: Item, spoken: Spoken, at: int) -> dict[str, Any]:
    """As it is listed: with an id, a type, and contents in parts."""
    raw: dict[str, Any] = dict(msgspec.to_builtins(item))
    raw = {name: value for name, value in raw.items() if value is not None}
    kind = raw.setdefault("type", "message")
    if kind == "message" and isinstance(raw["content"], str):
        part = "output_text" if raw["role"] == "assistant" else "input_text"
        raw["content"] = [{"type": part, "text": raw["content"]}]
    if kind != "reasoning":
        raw.setdefault("status", "completed")
    raw.setdefault("id", identifier(_PREFIXES.get(kind, "item_"), spoken.answer.digest, f"input {at}", 48))
    return raw


def _answer(kept: Kept, frames: list[Frame], *, stream: bool = False) -> Work:
    plain = [Frame(frame.data) for frame in frames]  # it was paid for when it was made
    return Work(
        model=kept.reply["model"],
        content_type=_EVENTS if stream else _JSON,
        render=lambda faults: plain,
        stream=stream,
    )


def _no_previous(response_id: str) -> Refusal:
    return refuse(
        f"Previous response with id '{response_id}' not found.",
        code="previous_response_not_found",
        param="previous_response_id",
    )
