"""The two places where Google serves Gemini, and what only one of them knows.

Source: the request converters of google-genai 3.4.0, which refuse to send these fields to the other place
"""

from __future__ import annotations

from typing import Any

import msgspec

from pulse_gateway.testing.simulator.gemini.errors import refuse

__all__ = ["DEVELOPER", "VERTEX", "Platform", "check_fields"]

_EVERYWHERE = "[]"


class Platform(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    version: str  # in messages
    unknown: tuple[tuple[str, ...], ...]  # paths to fields that belong to the other place
    needs_roles: bool  # on contents
    call_ids: bool  # on function calls
    service: str


DEVELOPER = Platform(
    name="gemini",
    version="v1beta",
    unknown=(
        ("modelArmorConfig",),
        ("outputConfig",),
        ("generationConfig", "routingConfig"),
        ("generationConfig", "modelConfig"),
        ("generationConfig", "audioTimestamp"),
        ("generationConfig", "imageConfig", "personGeneration"),
        ("generationConfig", "imageConfig", "prominentPeople"),
        ("generationConfig", "imageConfig", "imageOutputOptions"),
        ("safetySettings", _EVERYWHERE, "method"),
    ),
    needs_roles=False,
    call_ids=True,
    service="generativelanguage.googleapis.com",
)
VERTEX = Platform(
    name="vertex",
    version="v1",
    unknown=(
        ("store",),
        ("toolConfig", "includeServerSideToolInvocations"),
        ("generationConfig", "enableEnhancedCivicAnswers"),
        ("contents", _EVERYWHERE, "parts", _EVERYWHERE, "toolCall"),
        ("contents", _EVERYWHERE, "parts", _EVERYWHERE, "toolResponse"),
        ("contents", _EVERYWHERE, "parts", _EVERYWHERE, "partMetadata"),
    ),
    needs_roles=True,
    call_ids=False,
    service="aiplatform.googleapis.com",
)


def check_fields(body: Any, platform: Platform) -> None:
    """`body` has its names in camelCase.

    Raises: Refusal for a field that only the other place knows.
    """
    for path in platform.unknown:
        if (found := _find(body, path, "")) is not None:
            where = f" at '{found}'" if found else ""
            raise refuse(f'Invalid JSON payload received. Unknown name "{path[-1]}"{where}: Cannot find field.')


def _find(value: Any, path: tuple[str, ...], parent: str) -> str | None:
    """Where the last step of `path` is found; the first place counts."""
    step, *rest = path
    if step == _EVERYWHERE:
        each = enumerate(value) if isinstance(value, list) else ()
        return next(
            (at for index, item in each if (at := _find(item, tuple(rest), f"{parent}[{index}]")) is not None), None
        )
    if not isinstance(value, dict) or step not in value:
        return None
    if not rest:
        return parent
    return _find(value[step], tuple(rest), f"{parent}.{step}".lstrip("."))
