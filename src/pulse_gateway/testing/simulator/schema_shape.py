"""Is it a JSON Schema at all? A check of the keywords that values are made from."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

__all__ = ["schema_problem"]

_Count = Annotated[int, Meta(ge=0)]


class _Schema(Struct, rename="camel"):
    """Keywords that are not here may hold anything.

    Source: https://json-schema.org/draft/2020-12 (read 2026-11-24); `exclusive…` also as the flags of draft 4
    """

    ref: str | UnsetType = field(name="$ref", default=UNSET)
    defs: dict[str, _Schema | bool] | UnsetType = field(name="$defs", default=UNSET)
    definitions: dict[str, _Schema | bool] | UnsetType = UNSET
    type: str | Annotated[list[str], Meta(min_length=1)] | UnsetType = UNSET
    enum: list[Any] | UnsetType = UNSET
    properties: dict[str, _Schema | bool] | UnsetType = UNSET
    required: list[str] | UnsetType = UNSET
    additional_properties: _Schema | bool | UnsetType = UNSET
    min_properties: _Count | UnsetType = UNSET
    items: _Schema | bool | UnsetType = UNSET
    prefix_items: list[_Schema | bool] | UnsetType = UNSET
    min_items: _Count | UnsetType = UNSET
    max_items: _Count | UnsetType = UNSET
    any_of: list[_Schema | bool] | UnsetType = UNSET
    one_of: list[_Schema | bool] | UnsetType = UNSET
    all_of: list[_Schema | bool] | UnsetType = UNSET
    minimum: float | UnsetType = UNSET
    maximum: float | UnsetType = UNSET
    exclusive_minimum: float | bool | UnsetType = UNSET
    exclusive_maximum: float | bool | UnsetType = UNSET
    multiple_of: Annotated[float, Meta(gt=0)] | UnsetType = UNSET
    min_length: _Count | UnsetType = UNSET
    max_length: _Count | UnsetType = UNSET
    pattern: str | UnsetType = UNSET
    format: str | UnsetType = UNSET


def schema_problem(schema: object) -> str | None:
    """What is wrong with it, and where; None if nothing is."""
    try:
        msgspec.convert(schema, _Schema | bool)
    except msgspec.ValidationError as error:
        return str(error)
    return None
