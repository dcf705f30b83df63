"""Names of models as requests of this dialect repeat them in their bodies: `models/{model}`."""

from __future__ import annotations

import msgspec

from pulse_gateway.wire.json_splice import set_members

__all__ = ["rename_model", "resource_name", "same_model"]

_COLLECTIONS = ("models/", "tunedModels/")


class _Named(msgspec.Struct):
    model: str | None = None


_named = msgspec.json.Decoder(_Named).decode


def resource_name(model: str) -> str:
    """With its collection, which a name may say already."""
    return model if model.startswith(_COLLECTIONS) else f"models/{model}"


def same_model(written: str, model: str) -> bool:
    return resource_name(written) == resource_name(model)


def rename_model(body: bytes, model: str) -> bytes:
    """The object `body` with another `model` where it names one; `body` itself where it names none.

    Raises: InvalidRequest when a key occurs twice: the vendor might read the other one.
    """
    named, name = _named(body).model, resource_name(model)
    if named is None or named == name:
        set_members(body)
        return body
    return set_members(body, model=name)
