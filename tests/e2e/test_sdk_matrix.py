"""Three official SDKs × three providers × streamed or not: what a user asks for arrives, and what is answered comes back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pulse_process import Pulse
from sdk_clients import CALLED, CLIENTS, CUT, MODELS, PIXEL, PROVIDERS, STOPPED, Ask

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
CLOCK = {
    "type": "object",
    "properties": {"zone": {"type": "string", "enum": ["Asia/Amman", "Asia/Baghdad"]}},
    "required": ["zone"],
    "additionalProperties": False,
}
TOOLS = [("weather", "Weather of a city", WEATHER), ("clock", "Time in a zone", CLOCK)]

pytestmark = [
    pytest.mark.parametrize("provider", PROVIDERS),
    pytest.mark.parametrize("dialect", list(CLIENTS)),
    pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"]),
]


@pytest.fixture
async def client(pulse: Pulse, dialect: str) -> AsyncIterator[Any]:
    made = CLIENTS[dialect](pulse.url, pulse.key)
    yield made
    await made.close()


async def test_text_in_arabic_with_a_system_prompt_and_a_history(
    client: Any, dialect: str, provider: str, stream: bool
) -> None:
    answer = await client.ask(
        Ask(
            model=MODELS[provider],
            system="أجب بإيجاز دائما",
            history=[("user", "من أنت؟"), ("assistant", "أنا مساعد.")],
            text="ما هي عاصمة الأردن؟",
            stream=stream,
        )
    )
    assert "[system:أجب بإيجاز دائما]"[:16] in answer.text
    assert any("\u0600" <= letter <= "\u06ff" for letter in answer.text.replace("أجب بإيجاز دائما", ""))
    assert answer.finish in STOPPED[dialect]
    assert answer.input_tokens
    assert answer.output_tokens


async def test_parallel_tools_and_their_results(client: Any, dialect: str, provider: str, stream: bool) -> None:
    first = Ask(model=MODELS[provider], text="كيف الطقس وكم الساعة؟", tools=TOOLS, stream=stream)
    answer = await client.ask(first)
    assert {name for name, _ in answer.calls} == {"weather", "clock"}
    arguments = dict(answer.calls)
    assert isinstance(arguments["weather"]["city"], str)
    assert isinstance(arguments["weather"]["days"], int)
    assert arguments["clock"]["zone"] in {"Asia/Amman", "Asia/Baghdad"}
    assert answer.finish == CALLED[dialect]
    assert len(set(answer.call_ids)) == len(answer.call_ids) == 2

    second = await client.ask(
        Ask(
            model=MODELS[provider],
            text="كيف الطقس وكم الساعة؟",
            tools=TOOLS,
            stream=stream,
            previous=client.raw,
            results={"weather": "مشمس 31", "clock": "12:30"},
        )
    )
    assert "مشمس 31" in second.text
    assert "12:30" in second.text


async def test_an_image_arrives(client: Any, dialect: str, provider: str, stream: bool) -> None:
    answer = await client.ask(Ask(model=MODELS[provider], text="What is this?", image=PIXEL, stream=stream))
    assert str(len(PIXEL)) in answer.text  # the simulator says how many bytes the image had


async def test_a_schema_shapes_the_answer(client: Any, dialect: str, provider: str, stream: bool) -> None:
    answer = await client.ask(Ask(model=MODELS[provider], text="Amman, three days", schema=WEATHER, stream=stream))
    value = json.loads(answer.text)
    assert set(value) == {"city", "days"}
    assert isinstance(value["days"], int)


async def test_the_limit_on_the_answer_is_kept(client: Any, dialect: str, provider: str, stream: bool) -> None:
    answer = await client.ask(Ask(model=MODELS[provider], text="Tell me a story", max_tokens=5, stream=stream))
    assert answer.finish == CUT[dialect]
    assert answer.output_tokens is not None and answer.output_tokens <= 5
