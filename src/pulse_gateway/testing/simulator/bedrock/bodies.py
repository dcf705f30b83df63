"""A body in a model's own words, read or refused as Bedrock puts it."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from pulse_gateway.testing.simulator.bedrock.errors import refuse
from pulse_gateway.testing.simulator.violations import explain

__all__ = ["StrictBody", "malformed", "read_body"]

S = TypeVar("S", bound=msgspec.Struct)


class StrictBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    pass


def read_body(body: bytes, kind: type[S]) -> S:
    """Raises: Refusal."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise malformed(error) from error
    except msgspec.DecodeError as error:
        raise refuse("Malformed input request, please reformat your input and try again.") from error


def malformed(error: msgspec.ValidationError) -> Exception:
    found = explain(error)
    why = {
        "unknown": f"extraneous key [{found.field}] is not permitted",
        "missing": f"required key [{found.field}] not found",
    }
    return refuse(
        f"Malformed input request: #{'/' if found.parent else ''}{found.parent}: {why.get(found.kind, str(error))}, "
        "please reformat your input and try again."
    )
