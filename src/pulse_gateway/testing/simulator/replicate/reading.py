"""From a request to the prediction it asks for, or to what is wrong with it.

Source: https://replicate.com/docs/reference/http (read 2026-11-24) and replicate 1.0.7
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pulse_gateway.testing.simulator.dice import decode_base64
from pulse_gateway.testing.simulator.faults import split_model
from pulse_gateway.testing.simulator.media import data_url
from pulse_gateway.testing.simulator.replicate.errors import invalid_input, refuse
from pulse_gateway.testing.simulator.replicate.inputs import Input, Model, version_id
from pulse_gateway.testing.simulator.replicate.listening import texts_of
from pulse_gateway.testing.simulator.replicate.models import MODELS, model_called
from pulse_gateway.testing.simulator.replicate.writing import check_words
from pulse_gateway.testing.simulator.vendor import Request
from pulse_gateway.testing.simulator.violations import explain

__all__ = ["EVENTS", "Create", "Wanted", "read_create"]

EVENTS = ("start", "output", "logs", "completed")
_WAIT = re.compile(r"wait(?:=(\d{1,2}))?")
_SPAN = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")
_VERSION = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_LEAST_DEADLINE_S = 5
_TYPES: dict[str, type[Any] | tuple[type[Any], ...]] = {
    "string": str, "uri": str, "uris": list, "integer": int, "number": (int, float), "boolean": bool,
    "array": list, "object": dict,
}  # fmt: skip


class Create(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body. `version` only where the path names no model."""

    input: dict[str, Any]
    version: str | UnsetType = UNSET
    webhook: str | UnsetType = UNSET
    webhook_completed: str | UnsetType = UNSET
    webhook_events_filter: (
        Annotated[list[Literal["start", "output", "logs", "completed"]], Meta(min_length=1)] | UnsetType
    ) = UNSET
    stream: bool | UnsetType = UNSET


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    model: Model
    spec: str  # the faults in the model's name
    sent_name: str  # with them
    version: str
    input: dict[str, Any]
    waits: bool  # `Prefer: wait`
    deadline_s: int | None
    webhook: str | None
    events: tuple[str, ...]  # that the webhook is told of
    streams: bool


_DECODER = msgspec.json.Decoder(Create)


def read_create(request: Request, place: str, name: str) -> Wanted:
    """`place`: `models`, `deployments` or `predictions`; `name` is the model's in the path, faults included.

    Raises: Refusal.
    """
    if not request.headers.get("content-type", "").lower().startswith("application/json"):
        raise refuse("Unsupported media type", status=415)
    try:
        body = _DECODER.decode(request.body)
    except msgspec.ValidationError as error:
        found = explain(error)
        why = {"unknown": "Additional property is not allowed", "missing": "is required"}.get(found.kind, str(error))
        raise invalid_input([(found.kind, found.path or "body", why)]) from error
    except msgspec.DecodeError as error:
        raise refuse(f"The request body is not valid JSON: {error}", status=400) from error
    model, spec, sent, version = _model(body, place, name)
    _check_input(model, body.input)
    webhook, events = _webhook(body)
    return Wanted(
        model=model,
        spec=spec,
        sent_name=sent,
        version=version,
        input=body.input,
        waits=_waits(request.headers.get("prefer")),
        deadline_s=_deadline(request.headers.get("cancel-after")),
        webhook=webhook,
        events=events,
        streams=model.shape == "text" or body.stream is True,
    )


def _model(body: Create, place: str, name: str) -> tuple[Model, str, str, str]:
    """The model, its faults, its name as sent, its version."""
    if place != "predictions":
        if body.version is not UNSET:
            raise invalid_input([("unknown", "version", "Additional property is not allowed")])
        base, spec = split_model(name)
        model = model_called(base)
        if place == "models" and not model.official:
            raise refuse(status=404)
        return model, spec, name, "hidden" if place == "models" else model.version
    if body.version is UNSET:
        raise invalid_input([("required", "version", "version is required")])
    base, spec = split_model(body.version)
    base, _, version = base.partition(":")
    if _VERSION.fullmatch(base) and not version:
        known = next((model for model in MODELS.values() if model.version == base), None)
        return known or Model(name="simulated/model", shape="pictures", official=False), spec, body.version, base
    if not _NAME.fullmatch(base) or (version and not _VERSION.fullmatch(version)):
        raise refuse()
    return model_called(base), spec, body.version, version or version_id(base)


def _check_input(model: Model, sent: dict[str, Any]) -> None:
    if model.inputs is None:
        return
    problems = [
        ("required", "input", f"{name} is required")
        for name, field in model.inputs.items()
        if field.required and name not in sent
    ]
    for name, value in sent.items():
        field = model.inputs.get(name)
        if field is None:
            problems.append(("additional_property_not_allowed", "input", f"Additional property {name} is not allowed"))
        elif why := _value_problem(field, value):
            problems.append(("invalid", f"input.{name}", why))
    if problems:
        raise invalid_input(problems)
    check_words(sent)
    if model.shape in {"vectors", "embeddings"}:
        texts_of(sent)


def _value_problem(field: Input, value: object) -> str | None:
    wanted = _TYPES[field.type]
    if not isinstance(value, wanted) or (isinstance(value, bool) and field.type != "boolean"):
        return f"Invalid type. Expected: {'array' if field.type == 'uris' else field.type.replace('uri', 'string')}"
    if field.choices and value not in field.choices:
        return f"{value!r} is not one of {list(field.choices)!r}"
    if isinstance(value, int | float):
        if field.least is not None and value < field.least:
            return f"Must be greater than or equal to {field.least:g}"
        if field.most is not None and value > field.most:
            return f"Must be less than or equal to {field.most:g}"
    links = {"uri": [value], "uris": value}.get(field.type, ())
    if not all(_is_file(link) for link in links):
        return "Does not match format 'uri'"
    return None


def _is_file(link: object) -> bool:
    if not isinstance(link, str):
        return False
    if inline := data_url(link):
        return decode_base64(inline[1]) is not None
    return _is_address(link)


def _is_address(link: str) -> bool:
    if not link.isascii() or not link.isprintable() or " " in link:
        return False
    try:
        parts = urlsplit(link)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _webhook(body: Create) -> tuple[str | None, tuple[str, ...]]:
    events: tuple[str, ...] = ("completed",)
    if body.webhook_completed is not UNSET and body.webhook is UNSET:
        address = body.webhook_completed
    elif body.webhook is not UNSET:
        address = body.webhook
        chosen = body.webhook_events_filter
        events = ("output", "completed") if chosen is UNSET else tuple(event for event in EVENTS if event in chosen)
    else:
        return None, ()
    if not _is_address(address):
        raise invalid_input([("format", "webhook", "Does not match format 'uri'")])
    return address, events


def _waits(prefer: str | None) -> bool:
    if prefer is None:
        return False
    found = _WAIT.fullmatch(prefer.strip().lower().replace(" ", ""))
    if found is None:
        return False  # a preference nobody knows is no error (RFC 7240)
    if found.group(1) is not None and not 1 <= int(found.group(1)) <= 60:
        raise refuse("Prefer: wait must be between 1 and 60 seconds", status=400)
    return True


def _deadline(text: str | None) -> int | None:
    if text is None:
        return None
    found = _SPAN.fullmatch(text.strip()) if text.strip() else None
    if found is None:
        raise refuse("Cancel-After must be a duration like 90s, 5m or 1h", status=400)
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    span = hours * 3600 + minutes * 60 + seconds
    if span < _LEAST_DEADLINE_S:
        raise refuse(f"Cancel-After must be at least {_LEAST_DEADLINE_S} seconds", status=400)
    return span
