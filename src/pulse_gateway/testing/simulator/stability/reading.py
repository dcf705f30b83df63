"""From a form to an order, or to what is wrong with it.

Source: https://platform.stability.ai/docs/api-reference (read 2026-11-24)
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from pulse_gateway.testing.simulator.forms import FormError, Part, read_form
from pulse_gateway.testing.simulator.media import image_size, image_type
from pulse_gateway.testing.simulator.stability.errors import refuse
from pulse_gateway.testing.simulator.stability.operations import (
    OPERATIONS,
    RATIOS,
    Choice,
    Field,
    File,
    Flag,
    Number,
    Operation,
    Text,
)
from pulse_gateway.testing.simulator.vendor import Request

__all__ = ["Order", "read_order"]

_MAX_BODY_BYTES = 10 * 1024 * 1024
_FOUR_MEGAPIXELS = 4_000_000
_Size = tuple[int, int]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A picture that can be made."""

    digest: bytes
    values: dict[str, str]  # what is not a file, as sent
    size: _Size
    media_type: str
    seed: int  # 0: any


def read_order(name: str, request: Request, model: str = "") -> Order:
    """`model` is the one in the form without its faults.

    Raises: Refusal that names everything that is wrong.
    """
    if len(request.body) > _MAX_BODY_BYTES:
        raise refuse(status=413)
    try:
        parts = read_form(request)
    except FormError as error:
        raise refuse(str(error)) from error
    operation = OPERATIONS[name]
    problems: list[str] = []
    values: dict[str, str] = {}
    files: dict[str, _Size] = {}
    digest = blake2b(name.encode(), digest_size=16)
    for part in parts:
        if part.name == "none" and not part.data:  # how clients without a file to send get to a form at all
            continue
        field = operation.fields.get(part.name)
        if field is None:
            problems.append(f"{part.name}: is not a field of this endpoint")
        elif part.name in values or part.name in files:
            problems.append(f"{part.name}: sent more than once")
        elif isinstance(field, File):
            files[part.name] = _file(part, field, problems)
        else:
            values[part.name] = _value(part, field, problems, model)
        digest.update(part.name.encode() + b"\0" + part.data + b"\0")
    problems += [f"{field}: cannot be blank" for field in operation.required if field not in {**values, **files}]
    problems += _together(name, values, files)
    if problems:
        raise refuse(*problems)
    return Order(
        digest=digest.digest(),
        values=values,
        size=_size(operation, values, files),
        media_type=f"image/{values.get('output_format', 'png')}",
        seed=int(values.get("seed", 0)),
    )


def _file(part: Part, field: File, problems: list[str]) -> _Size:
    kind = image_type(part.data)
    if part.filename is None:
        problems.append(f"{part.name}: must be a file")
    elif kind not in {"image/png", "image/jpeg", "image/webp"}:
        problems.append(f"{part.name}: supported file formats are jpeg, png and webp")
    elif part.content_type not in {"", "application/octet-stream", kind}:
        problems.append(f"{part.name}: is said to be {part.content_type} but is {kind}")
    elif (size := image_size(part.data)) is None:
        problems.append(f"{part.name}: cannot be decoded")
    else:
        width, height = size
        if min(size) < field.least_side or max(size) > field.most_side:
            problems.append(f"{part.name}: every side must be between {field.least_side} and {field.most_side} pixels")
        elif not field.least_pixels <= width * height <= field.most_pixels:
            problems.append(
                f"{part.name}: total pixel count must be between {field.least_pixels} and {field.most_pixels}"
            )
        return size
    return 64, 64


def _value(part: Part, field: Field, problems: list[str], model: str) -> str:
    name = part.name
    try:
        text = part.text
    except FormError as error:
        problems.append(str(error))
        return ""
    if name == "model":
        text = model or text
    match field:
        case _ if part.filename is not None:
            problems.append(f"{name}: must not be a file")
        case Text():
            if not field.least <= len(text) <= field.most:
                problems.append(f"{name}: must be between {field.least} and {field.most} characters")
        case Choice():
            if text not in field.values:
                problems.append(f"{name}: must be one of {', '.join(field.values)}")
        case Flag():
            if text not in {"true", "false"}:
                problems.append(f"{name}: must be true or false")
        case Number():
            if not _fits(text, field):
                problems.append(f"{name}: must be {_numbers(field)}")
    return text


def _fits(text: str, field: Number) -> bool:
    try:
        number = int(text) if field.whole else float(text)
    except ValueError:
        return False
    return text.isascii() and text == text.strip() and field.least <= number <= field.most


def _numbers(field: Number) -> str:
    kind = "an integer" if field.whole else "a number"
    return f"{kind} between {field.least:.10g} and {field.most:.10g}"


def _together(name: str, values: dict[str, str], files: dict[str, _Size]) -> list[str]:
    """What is wrong although each field is right."""
    if name == "generate/ultra":
        return _image_and_strength(values, files)
    if name == "generate/sd3":
        sent = {**values, **files}
        if values.get("mode") == "image-to-image":
            problems = [
                f"{field}: is required for image-to-image" for field in ("image", "strength") if field not in sent
            ]
            return problems + ["aspect_ratio: is only for text-to-image"] * ("aspect_ratio" in sent)
        return [f"{field}: is only for image-to-image" for field in ("image", "strength") if field in sent]
    if name == "edit/outpaint" and not any(int(values[side]) for side in _sides(values)):
        return ["at least one of left, right, up, down must be more than 0"]
    if name == "edit/replace-background-and-relight":
        if "background_prompt" not in values and "background_reference" not in files:
            return ["background_prompt or background_reference is required"]
        if "light_source_strength" in values and not ("light_reference" in files or "light_source_direction" in values):
            return ["light_source_strength: needs light_reference or light_source_direction"]
    return []


def _image_and_strength(values: dict[str, str], files: dict[str, _Size]) -> list[str]:
    if "image" in files and "strength" not in values:
        return ["strength: is required when image is sent"]
    if "strength" in values and "image" not in files:
        return ["strength: is only for requests with an image"]
    return []


def _sides(values: dict[str, str]) -> list[str]:
    return [side for side in ("left", "right", "up", "down") if values.get(side, "").isdecimal()]


def _size(operation: Operation, values: dict[str, str], files: dict[str, _Size]) -> _Size:
    """Width and height of the picture."""
    width, height = files.get(operation.source) or (1024, 1024)
    match operation.size:
        case "ratio" if operation.source not in files or "fidelity" in operation.fields:
            return RATIOS[values.get("aspect_ratio", "1:1")]
        case "ratio and a half":
            width, height = RATIOS[values.get("aspect_ratio", "1:1")]
            return width * 3 // 2, height * 3 // 2
        case "outpaint":
            sides = {side: int(values[side]) for side in _sides(values)}
            width += sides.get("left", 0) + sides.get("right", 0)
            return width, height + sides.get("up", 0) + sides.get("down", 0)
        case "four times":
            return width * 4, height * 4
        case "four megapixels":
            scale = (_FOUR_MEGAPIXELS / (width * height)) ** 0.5
            return round(width * scale), round(height * scale)
    return width, height
