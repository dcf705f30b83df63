"""Tools, the choice among them and the JSON Schemas of a request, as far as every vendor wants the same of them."""

from __future__ import annotations

from typing import Any

from pulse_gateway.errors import UnsupportedParameter
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ChatRequest, ResponseFormat, Tool
from pulse_gateway.wire.refusals import unsupported

__all__ = ["checked_choice", "dropped_labels", "object_schema"]


def object_schema(tool: Tool, model: Model) -> dict[str, Any]:
    """The schema of a tool's parameters with its type, an object's, written out.

    Raises: UnsupportedParameter (`tools`) for parameters of another type.
    """
    schema: dict[str, Any] = {"type": "object"} | (tool.parameters or {"properties": {}})
    if schema["type"] != "object":
        raise unsupported(model, "tools", f"takes only tools whose parameters are an object, unlike {tool.name!r}")
    return schema


def checked_choice(request: ChatRequest, model: Model) -> None:
    """Refuse tools and a choice of them that no dialect could say for `model`.

    Raises: UnsupportedParameter (`tools`, `tool_choice`).
    """
    choice = request.tool_choice
    if request.tools and not model.capabilities.tools:
        raise unsupported(model, "tools", "calls no tools")
    if choice is None or choice.mode == "none":
        return
    if choice.mode == "required":
        if not request.tools:
            raise _no_choice(model, "cannot be made to call a tool without tools")
        if not model.capabilities.forced_tool_choice:
            raise _no_choice(model, "cannot be made to call a tool")
    if not {tool.name for tool in request.tools}.issuperset(choice.names):
        raise _no_choice(model, "can be given a choice only among the tools of the request")


def _no_choice(model: Model, reason: str) -> UnsupportedParameter:
    return unsupported(model, "tool_choice", reason)


def dropped_labels(response_format: ResponseFormat) -> dict[str, None]:
    """The hints that a dialect drops which has a place for nothing but the schema itself."""
    labels = ("name", "description", "strict")
    return {f"response_format.{label}": None for label in labels if getattr(response_format, label)}
