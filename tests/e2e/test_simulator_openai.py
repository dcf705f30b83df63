"""OpenAI's own SDK on the simulator, for every operation that OpenAI and Azure offer beside plain chat."""

from __future__ import annotations

import base64
import io
import json
import math
import wave
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.responses import ResponseStreamEvent
from pulse_process import Simulation
from pydantic import TypeAdapter

from pulse_gateway.testing.simulator.openai.sounds import silence
from pulse_gateway.testing.simulator.samples import picture

PNG = picture("image/png", 64, 64, (1, 2, 3))
WAV = silence("wav", 1_500)
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
TYPED_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


@pytest.fixture(scope="module")
def client(simulation: Simulation) -> Iterator[openai.OpenAI]:
    http_client = openai.DefaultHttpxClient(verify=False)
    with openai.OpenAI(base_url=f"{simulation.url}/v1", api_key="k", max_retries=0, http_client=http_client) as made:
        yield made


@pytest.fixture(scope="module")
def azure(simulation: Simulation) -> Iterator[openai.AzureOpenAI]:
    http_client = openai.DefaultHttpxClient(verify=False)
    with openai.AzureOpenAI(
        azure_endpoint=simulation.url, api_key="k", api_version="2024-10-21", max_retries=0, http_client=http_client
    ) as made:
        yield made


def streamed(client: openai.OpenAI, **settings: Any) -> list[Any]:
    """Every event of a response; each is what the SDK's own types say it is."""
    events = list(client.responses.create(stream=True, **settings))
    for event in events:
        TYPED_EVENT.validate_python(event.model_dump(warnings=False))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    return events


def test_a_streamed_response_ends_as_the_whole_one(client: openai.OpenAI) -> None:
    settings: Any = {
        "model": "gpt-5.2",
        "input": "Tell me of Bagdad",
        "instructions": "Be brief.",
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    }
    whole = client.responses.create(**settings)
    events = streamed(client, **settings)
    assert events[-1].response == whole
    assert [item.type for item in whole.output] == ["reasoning", "message"]
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == whole.output_text
    assert text.startswith("[system:Be brief.] You said: “Tell me of Bagdad”")
    assert whole.usage is not None
    assert (whole.usage.input_tokens, whole.usage.output_tokens_details.reasoning_tokens) == (7, 16)


def test_tools_are_called_in_parallel_and_answered_statelessly(client: openai.OpenAI) -> None:
    """Reasoning items come back sealed; the next turn takes them."""
    settings: Any = {
        "model": "gpt-6-astra",
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "tools": [WEATHER, {"type": "custom", "name": "note"}],
    }
    said: list[Any] = [{"role": "user", "content": "How is it in Basra?"}]
    events = streamed(client, input=said, **settings)
    output = events[-1].response.output
    assert [item.type for item in output] == ["reasoning", "function_call", "custom_tool_call"]
    said += [item.model_dump(exclude_unset=True) for item in output]
    said += [
        {"type": "function_call_output", "call_id": output[1].call_id, "output": "40 degrees"},
        {"type": "custom_tool_call_output", "call_id": output[2].call_id, "output": "noted"},
    ]
    reply = client.responses.create(input=said, **settings)
    assert reply.output_text.startswith("[result:get_weather 40 degrees] [result:note noted]")


def test_a_conversation_is_kept_on_the_server(client: openai.OpenAI) -> None:
    first = client.responses.create(model="gpt-4.1", input="My name is Sara.")
    second = client.responses.create(model="gpt-4.1", input="And yours?", previous_response_id=first.id)
    counted = client.responses.input_tokens.count(model="gpt-4.1", input="And yours?", previous_response_id=first.id)
    assert second.usage is not None
    assert first.usage is not None
    assert counted.input_tokens == second.usage.input_tokens > first.usage.total_tokens
    assert client.responses.retrieve(second.id) == second
    (item,) = client.responses.input_items.list(second.id)
    assert (item.type, item.role) == ("message", "user")  # type: ignore[union-attr]
    client.responses.delete(second.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(second.id)
    with pytest.raises(openai.BadRequestError) as error:
        client.responses.create(model="gpt-4.1", input="Hm?", previous_response_id=second.id)
    assert error.value.code == "previous_response_not_found"


def test_a_response_in_the_background_is_waited_for_or_cancelled(client: openai.OpenAI) -> None:
    queued = client.responses.create(model="gpt-4.1", input="Take your time.", background=True)
    seen = [queued.status, *(client.responses.retrieve(queued.id).status for _ in range(2))]
    assert seen == ["queued", "in_progress", "completed"]
    queued = client.responses.create(model="gpt-4.1", input="Never mind.", background=True)
    assert client.responses.cancel(queued.id).status == "cancelled"


@pytest.mark.parametrize(
    ("spec", "last", "status"),
    [
        ("fail=rate_limit_exceeded", "response.failed", "failed"),
        ("finish=content_filter", "response.incomplete", "incomplete"),
        ("refusal", "response.completed", "completed"),
    ],
)
def test_a_response_ends_as_it_was_told_to(client: openai.OpenAI, spec: str, last: str, status: str) -> None:
    settings: Any = {"model": f"gpt-4.1+{spec}", "input": "Hello"}
    events = streamed(client, **settings)
    assert events[-1].type == last
    whole = client.responses.create(**settings)
    assert whole == events[-1].response
    assert whole.status == status


def test_an_error_in_a_stream_of_events_is_an_event(client: openai.OpenAI) -> None:
    events = streamed(client, model="gpt-4.1+error=3,code=overloaded", input="Hello")
    assert [event.type for event in events[2:]] == ["response.output_item.added", "error"]
    assert events[-1].code == "server_is_overloaded"


def test_structured_output_is_valid(client: openai.OpenAI) -> None:
    schema: Any = {"type": "object", "properties": {"days": {"type": "integer", "maximum": 7}}, "required": ["days"]}
    text: Any = {"format": {"type": "json_schema", "name": "plan", "schema": schema}}
    reply = client.responses.create(model="gpt-4.1", input="Plan.", text=text)
    assert json.loads(reply.output_text).keys() == {"days"}


def test_embeddings_are_unit_vectors_in_both_encodings(client: openai.OpenAI) -> None:
    model = "text-embedding-3-large"
    decoded = client.embeddings.create(model=model, input=["one", "two"])  # asks for base64
    plain = client.embeddings.create(model=model, input=["one", "two"], encoding_format="float")
    assert [each.embedding for each in decoded.data] == [each.embedding for each in plain.data]
    assert len(decoded.data[0].embedding) == 3072
    assert math.isclose(sum(value * value for value in decoded.data[0].embedding), 1, rel_tol=1e-6)
    assert client.embeddings.create(model=model, input=[[1, 2], [3]], dimensions=8).usage.prompt_tokens == 3


def test_images_are_made_and_edited(client: openai.OpenAI) -> None:
    model = "gpt-image-2.5-flare"
    made = client.images.generate(
        model=model, prompt="a cat", n=2, size="1536x1024", quality="high", output_format="webp"
    )
    assert made.data is not None
    assert base64.b64decode(made.data[0].b64_json or "")[8:12] == b"WEBP"
    assert (made.size, made.quality, made.background) == ("1536x1024", "high", "opaque")
    one = client.images.edit(model=model, prompt="a hat", image=("a.png", PNG), mask=("m.png", PNG))
    two = client.images.edit(model=model, prompt="a hat", image=[("a.png", PNG), ("b.png", PNG)])
    for edited in (one, two):
        assert edited.usage is not None
        assert edited.usage.input_tokens_details.image_tokens == 516


def test_images_are_streamed_in_parts(client: openai.OpenAI) -> None:
    settings: Any = {"model": "gpt-image-2", "prompt": "a cat", "partial_images": 2}
    made = list(client.images.generate(stream=True, **settings))
    assert [event.type for event in made] == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    assert made[-1].usage.total_tokens == 2 + 1056 + 200
    edited = list(client.images.edit(image=("a.png", PNG), stream=True, **settings))
    assert edited[-1].type == "image_edit.completed"


def test_speech_comes_in_every_format(client: openai.OpenAI) -> None:
    starts: dict[Any, bytes] = {
        "mp3": b"\xff\xf3",
        "aac": b"\xff\xf1",
        "flac": b"fLaC",
        "opus": b"OggS",
        "pcm": b"\0\0",
    }
    for kind, start in starts.items():
        reply = client.audio.speech.create(model="tts-1", voice="alloy", input="Good morning", response_format=kind)
        assert reply.content.startswith(start)
    spoken = client.audio.speech.create(model="tts-1", voice="alloy", input="x" * 50, response_format="wav").content
    with wave.open(io.BytesIO(spoken)) as clip:
        assert clip.getnframes() / clip.getframerate() == 0.5


def test_speech_is_streamed_as_events(client: openai.OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="alloy", input="Good morning", stream_format="sse"
    ) as reply:
        events = [line for line in reply.iter_lines() if line]
    assert '"type":"speech.audio.delta"' in events[0]
    assert '"usage":{"input_tokens":3,"output_tokens":3,"total_tokens":6}' in events[-1]


def test_transcriptions_in_every_form(client: openai.OpenAI) -> None:
    file = ("a.wav", WAV)
    create: Any = client.audio.transcriptions.create
    by_tokens = create(model="gpt-4o-transcribe", file=file, prompt="Bagdad")
    assert by_tokens.usage.input_token_details.audio_tokens == 15
    verbose = create(
        model="whisper-1", file=file, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert (verbose.duration, verbose.usage.seconds, verbose.words[-1].end) == (1.5, 1.5, 1.5)
    assert create(model="whisper-1", file=file, response_format="vtt").startswith("WEBVTT\n\n00:00:00.000 --> ")
    assert create(model="whisper-1", file=file, response_format="text").startswith("[audio:1 wav 72044 bytes]")
    spoken = create(model="gpt-4o-transcribe-diarize", file=file, response_format="diarized_json")
    assert {segment.speaker for segment in spoken.segments} == {"A", "B"}
    with pytest.warns(DeprecationWarning):
        assert client.audio.translations.create(model="whisper-1", file=file).text


@pytest.mark.parametrize("model", ["gpt-4o-mini-transcribe", "gpt-4o-transcribe-diarize"])
def test_transcriptions_are_streamed(client: openai.OpenAI, model: str) -> None:
    wanted: Any = "diarized_json" if model.endswith("diarize") else "json"
    events: list[Any] = list(
        client.audio.transcriptions.create(model=model, file=("a.wav", WAV), response_format=wanted, stream=True)
    )
    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert events[-1].type == "transcript.text.done"
    assert "".join(deltas) == events[-1].text
    assert any(event.type == "transcript.text.segment" for event in events) == (wanted == "diarized_json")


def test_moderation_of_texts_and_images(client: openai.OpenAI) -> None:
    texts = client.moderations.create(input=["Good morning", "I will kill him"])
    assert [result.flagged for result in texts.results] == [False, True]
    image: Any = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    mixed = client.moderations.create(
        model="omni-moderation-latest+blocked=violence", input=[{"type": "text", "text": "Look"}, image]
    )
    assert mixed.results[0].categories.violence
    assert mixed.results[0].category_applied_input_types.violence == ["text", "image"]


def test_videos_are_gone(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.post("/videos", body={"model": "sora-2", "prompt": "a cat"}, cast_to=object)


def test_azure_begins_a_stream_with_the_filters_of_the_prompt(azure: openai.AzureOpenAI) -> None:
    chunks = list(
        azure.chat.completions.create(
            model="gpt-4.1",
            messages=[{"role": "user", "content": "Hello"}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert (chunks[0].choices, chunks[0].id) == ([], "")
    assert chunks[0].model_extra is not None
    assert "prompt_filter_results" in chunks[0].model_extra
    assert chunks[-1].usage is not None


def test_azure_offers_the_same_behind_deployments(azure: openai.AzureOpenAI, simulation: Simulation) -> None:
    assert len(azure.embeddings.create(model="text-embedding-3-small", input="one").data[0].embedding) == 1536
    assert azure.images.generate(model="gpt-image-2", prompt="a cat").usage is not None
    assert azure.images.edit(model="gpt-image-2", prompt="a hat", image=("a.png", PNG)).usage is not None
    assert azure.audio.speech.create(model="tts-1", voice="alloy", input="Hello").content
    assert azure.audio.transcriptions.create(model="whisper-1", file=("a.wav", WAV)).text
    raw = azure.responses.with_raw_response.create(model="gpt-5.2", input="Hello")
    assert raw.headers["x-ratelimit-limit-tokens"] == "-1"
    base_url = f"{simulation.url}/openai/v1/"
    with openai.OpenAI(
        base_url=base_url, api_key="k", max_retries=0, http_client=openai.DefaultHttpxClient(verify=False)
    ) as plain:
        assert plain.responses.create(model="gpt-5.2", input="Hello").output_text == raw.parse().output_text


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("gpt-4.1+code=content_filter", 400, "content_filter"),
        ("gpt-4.1+status=429", 429, "429"),
        ("gpt-4.1+status=503", 503, None),
        ("gpt-4", 404, "DeploymentNotFound"),
    ],
)
def test_azure_refuses_in_its_own_words(azure: openai.AzureOpenAI, model: str, status: int, code: str | None) -> None:
    with pytest.raises(openai.APIStatusError) as error:
        azure.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hello"}])
    assert (error.value.status_code, error.value.code) == (status, code)


VENDORS = {
    "groq": "openai/gpt-oss-120b",
    "mistral": "magistral-medium",
    "deepseek": "deepseek-reasoner",
    "xai": "grok-4.7",
    "together": "openai/gpt-oss-120b",
    "fireworks": "accounts/fireworks/models/gpt-oss-120b",
    "cerebras": "gpt-oss-120b",
    "openrouter": "openai/gpt-5.2",
    "perplexity": "sonar-reasoning-pro",
    "ollama": "gpt-oss:20b",
    "vllm": "Qwen/Qwen3-32B",
    "lmstudio": "qwen3-8b",
    "plain": "plain-1",
    "oddities": "think-1",
}


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_sdk_reads_every_copy_of_the_api(client: openai.OpenAI, simulation: Simulation, vendor: str) -> None:
    there = client.with_options(base_url=f"{simulation.url}/as/{vendor}/v1")
    settings: Any = {"model": VENDORS[vendor], "messages": [{"role": "user", "content": "Hello"}]}
    content: Any = there.chat.completions.create(**settings).choices[0].message.content
    chunks: Any = list(there.chat.completions.create(stream=True, **settings))
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    text = "".join(piece for piece in pieces if isinstance(piece, str))
    assert text == (content if isinstance(content, str) else content[-1]["text"])
    assert "You said: “Hello”" in text


def test_the_sdk_has_recordings_written_down_by_fireworks(client: openai.OpenAI, simulation: Simulation) -> None:
    there = client.with_options(base_url=f"{simulation.url}/as/fireworks/v1")
    assert there.audio.transcriptions.create(model="whisper-v3", file=("a.wav", WAV)).text.startswith("[audio:1 wav ")
