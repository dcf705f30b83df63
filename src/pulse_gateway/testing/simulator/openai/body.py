"""What a request to one of the operations holds: JSON, or a form.

Source: type definitions of the official SDK, openai 3.54.0 (read 2026-11-24), and what it sends for arrays: `name[]`
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from pulse_gateway.testing.simulator.forms import FormError, Part, read_form
from pulse_gateway.testing.simulator.openai.errors import malformed, refuse
from pulse_gateway.testing.simulator.vendor import Request

__all__ = ["Form", "Strict", "converted", "form_body", "json_body"]

T = TypeVar("T")


class Strict(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A field that is not declared is an unknown parameter."""


class Form(msgspec.Struct, frozen=True):
    """A form's plain values by name, and its files. `n[]` counts as `n`, and as a list even if it came once."""

    values: dict[str, Any]
    files: dict[str, list[Part]]


def json_body(request: Request, model: str) -> dict[str, Any]:
    """The members of a JSON body; `model`, if a path names one, replaces the member of that name.

    Raises: Refusal.
    """
    try:
        body = msgspec.json.decode(request.body)
    except msgspec.DecodeError as error:
        raise refuse(
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your "
            f"HTTP library correctly.) {error}"
        ) from error
    if not isinstance(body, dict):
        raise refuse("The body of your request must be a JSON object.")
    if model:
        body["model"] = model
    return body


def converted(value: Any, shape: type[T], at: str = "", *, strict: bool = True) -> T:
    """`value`, the member `at` of the request, as `shape`; not `strict`: numbers and flags may be spelled out, as in forms.

    Raises: Refusal.
    """
    try:
        return msgspec.convert(value, shape, strict=strict)
    except msgspec.ValidationError as error:
        raise malformed(error, at) from error


def form_body(request: Request, model: str, lists: frozenset[str]) -> Form:
    """A multipart form; only the fields in `lists` may come more than once.

    Raises: Refusal.
    """
    try:
        form = Form({}, {})
        for part in read_form(request):
            name = part.name.removesuffix("[]")
            many = name != part.name
            if part.filename is not None:
                form.files.setdefault(name, []).append(part)
                if len(form.files[name]) > 1 and name not in lists:
                    raise refuse(f"Duplicate parameter: '{name}'.", code="duplicate_parameter", param=name)
            elif many or name in lists:
                if name not in lists:
                    raise refuse(f"Unknown parameter: '{part.name}'.", code="unknown_parameter", param=part.name)
                form.values.setdefault(name, []).append(part.text)
            elif name in form.values:
                raise refuse(f"Duplicate parameter: '{name}'.", code="duplicate_parameter", param=name)
            else:
                form.values[name] = part.text
    except FormError as error:
        raise refuse(f"Could not parse multipart form: {error}") from error
    if model:
        form.values["model"] = model
    return form
