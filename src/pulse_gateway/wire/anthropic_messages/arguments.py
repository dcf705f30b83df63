"""The arguments of a tool call: JSON text everywhere else, a JSON object in this dialect."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from pulse_gateway.errors import UpstreamProtocolError

__all__ = ["arguments_object", "arguments_text"]

_OBJECT = msgspec.json.Decoder(dict[str, Raw])


def arguments_object(text: str) -> Raw:
    """`text` as an object to embed, its bytes kept. No text at all is the empty object.

    Raises: ValueError when it is no JSON object.
    """
    if not text or text.isspace():
        return Raw(b"{}")
    try:
        encoded = text.encode()
        _OBJECT.decode(encoded)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return Raw(encoded)


def arguments_text(value: Raw) -> str:
    """An object of a reply as compact text. Only white space is taken out: numbers and escapes stay as the model wrote them.

    Raises: UpstreamProtocolError when it is no object.
    """
    text = bytes(value)
    if not text.startswith(b"{"):
        raise UpstreamProtocolError("the input of a tool call is not a JSON object")
    try:
        return msgspec.json.format(text, indent=-1).decode()
    except ValueError as error:
        raise UpstreamProtocolError("the input of a tool call is not UTF-8") from error
