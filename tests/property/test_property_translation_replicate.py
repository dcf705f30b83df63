"""Into the inputs of Replicate's language models from every client's dialect: what the page says, and that no slice of a stream matters."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulse_gateway.errors import UnsupportedParameter
from pulse_gateway.pipeline.exchange import Exchange, Inbound
from pulse_gateway.pipeline.prepare import Prepared, prepare
from pulse_gateway.providers.replicate import REPLICATE
from pulse_gateway.types.catalog import Deployment, Model
from pulse_gateway.types.chat import ReasoningPart, TextPart
from pulse_gateway.types.events import Ended, Event, Finished, ReasoningDelta, UsageReported
from pulse_gateway.wire.registry import codec, upstream_codec
from pulse_gateway.wire.replicate_predictions.stream import closing_frame

PAGE = (Path(__file__).parents[2] / "docs" / "translation.md").read_text(encoding="utf-8")
PREDICTIONS = upstream_codec("replicate.predictions")
DIALECTS = {
    "OpenAI": "openai.chat",
    "Responses": "openai.responses",
    "Anthropic": "anthropic.messages",
    "Gemini": "gemini",
}
LEAST: dict[str, dict[str, Any]] = {
    "openai.chat": {"model": "alias", "messages": [{"role": "user", "content": "hi"}]},
    "openai.responses": {"model": "alias", "input": "hi"},
    "anthropic.messages": {"model": "alias", "max_tokens": 4096, "messages": [{"role": "user", "content": "hi"}]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
}
_ROW = re.compile(r"^\| (\w+) \| `([^`]+)` \| `(\{.*\})` \| `([^`]+)` \|$", re.MULTILINE)


def rows(heading: str) -> list[tuple[str, str, str, str]]:
    section = re.split(r"\n##+ ", PAGE.split(f"\n### {heading}\n")[1])[0]
    found = _ROW.findall(section)
    assert len(found) == section.count("\n| ") - 2, "a row of the table is not understood"
    return found


def sent(client: str, members: str, name: str) -> Prepared:
    dialect = DIALECTS[client]
    raw = msgspec.json.encode(LEAST[dialect] | json.loads(members))
    in_path = dialect == "gemini"
    inbound = Inbound(dialect=dialect, body=raw, model="alias" if in_path else None, stream=False if in_path else None)
    exchange = Exchange(inbound, codec(dialect), 0.0)
    exchange.envelope = codec(dialect).read_envelope(raw, model=inbound.model, stream=inbound.stream)
    model = Model(provider="replicate", name=name)
    to = Deployment(provider="replicate", kind="replicate", model=model, base_url="", key="k")
    return prepare(exchange, to, REPLICATE, PREDICTIONS)


@pytest.mark.parametrize(("client", "name", "members", "path"), rows("Refused towards Replicate"))
def test_what_the_page_calls_refused_is_refused_by_that_name(client: str, name: str, members: str, path: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        sent(client, members, name)
    assert caught.value.param == path


@pytest.mark.parametrize(("client", "name", "members", "path"), rows("Dropped and reported towards Replicate"))
def test_what_the_page_calls_dropped_is_dropped_and_reported(client: str, name: str, members: str, path: str) -> None:
    assert path in sent(client, members, name).dropped


# ── folding ───────────────────────────────────────────────────────────────────────────────────────────────────────────

PIECES = st.lists(
    st.sampled_from(["<think>", "</think>", "\n", "\n\n", " ", "قطة", "data: x", "event: done"])
    | st.text("ab \né", max_size=5),
    max_size=8,
)


def heard(data: bytes, cut: int) -> list[Event]:
    frames, decoder, events = PREDICTIONS.framing.decoder(), PREDICTIONS.decoder(), list[Event]()
    for part in (data[:cut], data[cut:]):
        for frame in frames.feed(part):
            events += decoder.decode(frame)
    for frame in frames.finish():
        events += decoder.decode(frame)
    return events + decoder.finish()


@settings(max_examples=60)
@given(PIECES, st.integers(0, 400), st.booleans())
def test_a_stream_comes_to_what_the_prediction_is(pieces: list[str], cut: int, breaks_off: bool) -> None:
    """However it is cut, and wherever it breaks off."""
    prediction = msgspec.json.encode(
        {
            "id": "p",
            "status": "succeeded",
            "output": pieces,
            "metrics": {"input_token_count": 3, "output_token_count": 2},
        }
    )
    stream = b""
    for number, piece in enumerate(pieces):
        lines = "".join(f"data: {line}\n" for line in piece.split("\n"))
        stream += f"event: output\nid: 1:{number}\n{lines}\n".encode()
    stream = stream[:cut] if breaks_off else stream + b"event: done\nid: 1:9\ndata: {}\n\n"
    events = heard(stream + closing_frame(prediction), cut)
    whole = PREDICTIONS.decode_reply(prediction)
    [choice] = whole.choices
    assert _bare("".join(event.text for event in events)) == _bare(
        "".join(part.text for part in choice.parts if isinstance(part, TextPart))
    )
    assert _bare("".join(event.reasoning for event in events if isinstance(event, ReasoningDelta))) == _bare(
        "".join(part.text for part in choice.parts if isinstance(part, ReasoningPart))
    )
    assert choice.finish_reason is not None
    assert whole.usage is not None
    assert events[-3:] == [Finished(choice.finish_reason), UsageReported(whole.usage), Ended()]
    if not breaks_off:
        assert "".join(event.text for event in events).strip() == whole.text.strip()


def _bare(text: str) -> str:
    """White space at the edge of a break may be lost."""
    return "".join(text.split())
