"""A tool call's arguments, the JSON text a model wrote ⇄ the object that some dialects want; and ids for calls without one."""

from __future__ import annotations

import re

import msgspec

from pulse_gateway.errors import InvalidRequest, UpstreamProtocolError
from pulse_gateway.types.chat import ToolCallPart

__all__ = ["arguments_object", "arguments_text", "is_unfinished", "made_id", "not_an_object", "unusable_call"]

_LONGEST_REPLY_ID = 24  # so that the whole id keeps within the 40 characters that vendors take
_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9]")
_EMPTY = msgspec.Raw(b"{}")
_NOTHING = (b"", b"null")


def arguments_object(text: str) -> msgspec.Raw | None:
    """`text` without white space, every value spelled as it was; a blank one is `{}`. None when it is no JSON object."""
    if not text or text.isspace():
        return _EMPTY
    try:
        compact = msgspec.json.format(text.encode(), indent=-1)
    except (ValueError, RecursionError):  # msgspec's errors and lone surrogates are ValueErrors
        return None
    return msgspec.Raw(compact) if compact.startswith(b"{") else None


def arguments_text(value: msgspec.Raw) -> str | None:
    """An object of an answer as compact text, likewise; nothing and null are `{}`. None when it is no object."""
    if bytes(value) in _NOTHING:
        return "{}"
    try:
        compact = msgspec.json.format(value, indent=-1).decode()
    except (ValueError, RecursionError):
        return None
    return compact if compact.startswith("{") else None


def is_unfinished(call: ToolCallPart) -> bool:
    """Whether its arguments are no whole object, as when a length limit has cut them off."""
    return arguments_object(call.arguments) is None


def not_an_object(call: ToolCallPart, path: str) -> InvalidRequest:
    """The error for a call in the history of a request, in the message at `path`."""
    return InvalidRequest(f"{path}: the arguments of the call {call.id!r} are not a JSON object", param=path or None)


def unusable_call(name: str) -> UpstreamProtocolError:
    """The error for a call in an answer, which a dialect with objects for arguments cannot say."""
    return UpstreamProtocolError(f"the model's call of {name!r} has no JSON object for arguments")


def made_id(reply_id: str, choice: int, index: int) -> str:
    """An id for the call `index` of an answer whose vendor gave none: the same whether the answer is streamed or not."""
    answer = _NOT_IN_AN_ID.sub("", reply_id)[-_LONGEST_REPLY_ID:]
    return "_".join(filter(None, ("call", answer, str(choice), str(index))))
