"""Input items, taken apart one by one, and whether they belong together.

Source: https://developers.openai.com/api/docs/api-reference/responses/create, /guides/reasoning and
/guides/function-calling (read 2026-11-24); the wording follows answers of the API.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec

from pulse_gateway.testing.simulator.dice import is_seal, seal
from pulse_gateway.testing.simulator.openai.body import Strict, converted
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.openai.responses.schema import (
    CONTENTS,
    HOSTED_ITEMS,
    ITEMS,
    CustomCall,
    CustomCallOutput,
    FunctionCall,
    FunctionCallOutput,
    ItemReference,
    Message,
    ReasoningItem,
)
from pulse_gateway.testing.simulator.openai.responses.store import Store

__all__ = ["ASKED", "SAID", "SHOWN", "Item", "check_items", "content_parts", "encrypted", "parse_items"]

Item = Strict | dict[str, Any]
"""A dictionary is an item of a hosted tool."""

ASKED = ("input_text", "input_image", "input_file", "input_audio")
SAID = ("output_text", "refusal")
SHOWN = ("input_text", "input_image", "input_file")
"""The kinds of content that a user, an assistant and a tool may send."""


def parse_items(given: str | list[Any], store: Store, seed: int, at: str = "input") -> list[Item]:
    """References replaced by what they mean.

    Raises: Refusal.
    """
    if isinstance(given, str):
        return [Message(role="user", content=given)]
    items: list[Item] = []
    for index, raw in enumerate(given):
        item = _parse(raw, f"{at}[{index}]")
        if isinstance(item, ItemReference):
            item = _parse(_stored(item.id, store), f"{at}[{index}]")
        elif isinstance(item, ReasoningItem):
            _check_reasoning(item, store, seed)
        items.append(item)
    return items


def check_items(earlier: list[Item], items: list[Item]) -> None:
    """Every output answers a call, every call is answered, and none of the reasoning that comes now stands alone.

    Raises: Refusal.
    """
    for kind, call, output in (
        ("function", FunctionCall, FunctionCallOutput),
        ("custom tool", CustomCall, CustomCallOutput),
    ):
        waiting: dict[str, bool] = {}
        for item in (*earlier, *items):
            if isinstance(item, call):
                if item.call_id in waiting:
                    raise refuse(f"Duplicate tool call id {item.call_id}.", code="invalid_value", param="input")
                waiting[item.call_id] = True
            elif isinstance(item, output):
                if item.call_id not in waiting:
                    sentence = f"No tool call found for {kind} call output with call_id {item.call_id}."
                    raise refuse(sentence, param="input")
                waiting[item.call_id] = False
        for call_id, unanswered in waiting.items():
            if unanswered:
                raise refuse(f"No tool output found for {kind} call {call_id}.", param="input")
    for this, following in pairwise([*items, None]):
        ends = following is None or (isinstance(following, Message) and following.role != "assistant")
        if isinstance(this, ReasoningItem) and ends:
            raise refuse(
                f"Item '{this.id}' of type 'reasoning' was provided without its required following item.", param="input"
            )


def content_parts(parts: list[Any], kinds: tuple[str, ...], at: str) -> list[Strict]:
    """The contents of a message or the output of a tool.

    Raises: Refusal.
    """
    found: list[Strict] = []
    for index, raw in enumerate(parts):
        path = f"{at}[{index}]"
        kind = raw.get("type") if isinstance(raw, dict) else None
        if kind is None:
            raise refuse(
                f"Missing required parameter: '{path}.type'.", code="missing_required_parameter", param=f"{path}.type"
            )
        if kind not in kinds:
            raise _unsupported_value(kind, kinds, f"{path}.type")
        found.append(converted(raw, CONTENTS[kind], path))
    return found


def encrypted(seed: int, item_id: str) -> str:
    """The encrypted content of a reasoning item, which only a simulator with the same seed writes and reads."""
    return seal(seed, "openai reasoning", item_id)


def _parse(raw: Any, path: str) -> Item:
    if not isinstance(raw, dict):
        raise refuse(f"Invalid type for '{path}': expected an object.", code="invalid_type", param=path)
    kind = raw.get("type")
    if kind is None:
        if "role" not in raw and "id" not in raw:
            raise refuse(
                f"Missing required parameter: '{path}.type'.", code="missing_required_parameter", param=f"{path}.type"
            )
        kind = "message" if "role" in raw else "item_reference"
    if not isinstance(kind, str):
        raise refuse(f"Invalid type for '{path}.type': expected a string.", code="invalid_type", param=f"{path}.type")
    if kind in HOSTED_ITEMS:
        return raw
    if kind not in ITEMS:
        raise _unsupported_value(kind, (*ITEMS, *sorted(HOSTED_ITEMS)), f"{path}.type")
    item = converted(raw, ITEMS[kind], path)
    if isinstance(item, Message) and item.content == []:
        raise refuse(f"Invalid '{path}.content': empty array.", code="empty_array", param=f"{path}.content")
    return item


def _stored(item_id: str, store: Store) -> dict[str, Any]:
    item = store.item(item_id)
    if item is None:
        raise refuse(f"Item with id '{item_id}' not found.", param="input", status=404)
    return item


def _check_reasoning(item: ReasoningItem, store: Store, seed: int) -> None:
    """Reasoning is replayed as it was: by its encrypted content, or by an id that is stored."""
    if item.encrypted_content is not None:
        if not is_seal(seed, item.encrypted_content, "openai reasoning", item.id):
            raise refuse(
                f"The encrypted content for item {item.id} could not be verified. Reason: Encrypted content could not "
                "be decrypted or parsed.",
                code="invalid_encrypted_content",
            )
        return
    known = store.item(item.id)
    if known is None:
        raise refuse(
            f"Item with id '{item.id}' not found. Items are not persisted when `store` is set to false. Try again with "
            "`store` set to true, or remove this item from your input.",
            param="input",
            status=404,
        )
    if msgspec.to_builtins(item.summary) != known["summary"]:
        raise refuse(f"The summary of item '{item.id}' was changed.", code="invalid_value", param="input")


def _unsupported_value(kind: Any, kinds: tuple[str, ...], path: str) -> Exception:
    supported = ", ".join(f"'{each}'" for each in kinds)
    return refuse(f"Invalid value: '{kind}'. Supported values are: {supported}.", code="invalid_value", param=path)
