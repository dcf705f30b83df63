"""The page on translation says what happens to images and sound: each refusal and each dropped hint on it is tried."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from media_parts import PNG, asked, error_of, gateway_to, sound

from pulse_gateway.catalog.settings import ModelConfig
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.testing.simulator import Simulator
from pulse_gateway.wire.multipart import FormPart
from pulse_gateway.wire.registry import operation_codec

PAGE = (Path(__file__).parents[2] / "docs" / "translation.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| `([\w.]+)` \| ([\w:./-]+) \| `(\{.*\})` \| `([^`]+)` \|$", re.MULTILINE)
STILL_THERE = {"bedrock:amazon.nova-canvas-v1:0": ModelConfig(shutdown="9999-12-31")}  # gone since 2026-09-30
LEAST: dict[str, dict[str, Any]] = {
    "openai.images.generations": {"prompt": "a fox"},
    "openai.images.edits": {"prompt": "a fox", "image": "data:image/png;base64," + base64.b64encode(PNG).decode()},
    "openai.speech": {"input": "Hello", "voice": "Kore"},
    "openai.transcriptions": {},
}


def rows(heading: str) -> list[tuple[str, str, str, str]]:
    """(from, to, members, path) of the table under `heading`."""
    section = re.split(r"\n###? ", PAGE.split(f"\n### {heading}\n")[1])[0]
    found = _ROW.findall(section)
    assert len(found) == section.count("\n| ") - 2, "a row of the table is not understood"
    return found


async def replied(dialect: str, model: str, members: str, simulator: Simulator) -> Reply:
    fields: dict[str, Any] = {"model": model, **LEAST[dialect], **json.loads(members)}
    if "images" in fields:
        del fields["image"]
    body: Any = fields
    if dialect == "openai.transcriptions":
        body = [FormPart(name=name, data=value.encode()) for name, value in fields.items()]
        body.append(FormPart(name="file", data=sound(), filename="a.wav", content_type="audio/wav"))
    async with gateway_to(simulator.url, catalog=STILL_THERE) as gateway:
        return await gateway.handle(asked(gateway, dialect, operation_codec(dialect).operation, body))


@pytest.mark.parametrize(("dialect", "model", "members", "path"), rows("Refused of images and sound"))
async def test_what_the_page_calls_refused_is_refused_by_that_name(
    dialect: str, model: str, members: str, path: str
) -> None:
    async with Simulator(seed=0) as simulator:
        reply = await replied(dialect, model, members, simulator)
        assert error_of(reply) == (400, "unsupported_parameter", path)
        assert simulator.stats().requests == []


@pytest.mark.parametrize(("dialect", "model", "members", "path"), rows("Dropped and reported of images and sound"))
async def test_what_the_page_calls_dropped_is_dropped_and_reported(
    dialect: str, model: str, members: str, path: str
) -> None:
    async with Simulator(seed=0) as simulator:
        reply = await replied(dialect, model, members, simulator)
        assert reply.status == 200, reply.body
        assert path in dict(reply.headers)["x-pulse-dropped"].split(", ")
