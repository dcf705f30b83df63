"""Google's own SDK, pointed straight at the simulator: every operation of the Developer API and of Vertex."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google import genai
from google.auth.credentials import Credentials
from google.genai import errors, types
from google.oauth2 import credentials as oauth_credentials
from google.oauth2 import service_account
from pulse_process import Simulation

PNG = b"\x89PNG\r\n\x1a\n" + bytes(60)
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def options(url: str) -> types.HttpOptions:
    return types.HttpOptions(base_url=url, client_args={"verify": False, "trust_env": False})


def vertex_client(url: str, credentials: Credentials) -> genai.Client:
    return genai.Client(
        vertexai=True, project="p", location="us-central1", credentials=credentials, http_options=options(url)
    )


@pytest.fixture(scope="module")
def developer(simulation: Simulation) -> Iterator[genai.Client]:
    with genai.Client(api_key="any", http_options=options(simulation.url)) as client:
        yield client


@pytest.fixture(scope="module")
def vertex(simulation: Simulation) -> Iterator[genai.Client]:
    with vertex_client(simulation.url, oauth_credentials.Credentials(token="ya29.test")) as client:
        yield client


@pytest.fixture(params=["developer", "vertex"])
def client(request: pytest.FixtureRequest) -> genai.Client:
    made: genai.Client = request.getfixturevalue(request.param)
    return made


def blobs(reply: types.GenerateContentResponse) -> list[types.Blob]:
    return [part.inline_data for part in reply.candidates[0].content.parts if part.inline_data and not part.thought]


def test_both_places_chat_whole_and_streamed(client: genai.Client) -> None:
    config = types.GenerateContentConfig(labels={"team": "a"}, system_instruction="Be brief")
    whole = client.models.generate_content(model="gemini-3.8-flash", contents="Say سلام", config=config)
    assert "سلام" in whole.text
    stream = client.models.generate_content_stream(model="gemini-3.8-flash", contents="Say سلام", config=config)
    chunks = list(stream)
    assert "".join(chunk.text or "" for chunk in chunks) == whole.text
    assert chunks[-1].usage_metadata == whole.usage_metadata


def test_vertex_has_no_call_ids_and_says_how_the_traffic_was_paid(vertex: genai.Client) -> None:
    tool = types.Tool(
        function_declarations=[types.FunctionDeclaration(name="f", parameters_json_schema={"type": "object"})]
    )
    config = types.GenerateContentConfig(
        tools=[tool], automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True)
    )
    reply = vertex.models.generate_content(model="gemini-3.8-flash", contents="go", config=config)
    call = reply.candidates[0].content.parts[0]
    assert call.function_call.name == "f" and call.function_call.id is None and call.thought_signature
    assert reply.usage_metadata.traffic_type is types.TrafficType.ON_DEMAND
    assert reply.create_time.year == 2026
    answered = [
        types.Content(role="user", parts=[types.Part(text="go")]),
        reply.candidates[0].content,
        types.Content(role="user", parts=[types.Part.from_function_response(name="f", response={"a": 1})]),
    ]
    assert (
        '[result:f {"a":1}]'
        in vertex.models.generate_content(model="gemini-3.8-flash", contents=answered, config=config).text
    )


def test_both_places_count_tokens(client: genai.Client) -> None:
    contents = ["x" * 40, types.Part.from_bytes(data=PNG, mime_type="image/png")]
    assert client.models.count_tokens(model="gemini-3.8-flash", contents=contents).total_tokens == 10 + 258


def test_both_places_embed(client: genai.Client) -> None:
    config = types.EmbedContentConfig(output_dimensionality=16, task_type="RETRIEVAL_QUERY")
    one = client.models.embed_content(model="gemini-embedding-2", contents=["a", "b"], config=config)
    assert [len(each.values) for each in one.embeddings] == [16]
    assert one.usage_metadata.prompt_token_count == 1
    contents = [types.Content(role="user", parts=[types.Part(text=text)]) for text in ("first", "second")]
    two = client.models.embed_content(model="gemini-embedding-2", contents=contents, config=config)
    assert len(two.embeddings) == 2
    assert two.embeddings[0].values != two.embeddings[1].values


def test_vertex_embeds_by_prediction_too(vertex: genai.Client) -> None:
    config = types.EmbedContentConfig(task_type="RETRIEVAL_DOCUMENT", title="T", auto_truncate=False)
    reply = vertex.models.embed_content(model="text-embedding-005", contents=["one two", "three"], config=config)
    assert [len(each.values) for each in reply.embeddings] == [768, 768]
    assert [each.statistics.token_count for each in reply.embeddings] == [2, 2]
    assert reply.metadata.billable_character_count == 11


def test_the_developer_api_lists_models_in_pages(developer: genai.Client) -> None:
    names = [model.name for model in developer.models.list(config={"page_size": 3})]
    assert len(names) == len(set(names)) > 6
    assert developer.models.get(model="gemini-3-pro-image").supported_actions == ["generateContent", "countTokens"]


def test_both_places_make_pictures(client: genai.Client) -> None:
    config = types.GenerateContentConfig(
        response_modalities=["TEXT", "IMAGE"], image_config=types.ImageConfig(aspect_ratio="16:9", image_size="2K")
    )
    reply = client.models.generate_content(model="gemini-3.1-flash-image", contents="a cat", config=config)
    (picture,) = blobs(reply)
    assert picture.mime_type == "image/png" and picture.data.startswith(b"\x89PNG")
    assert int.from_bytes(picture.data[16:20]) == 2688 and int.from_bytes(picture.data[20:24]) == 1536
    assert sum(part.thought is True for part in reply.candidates[0].content.parts) == 1  # a draft
    assert reply.text
    details = reply.usage_metadata.candidates_tokens_details
    assert [(each.modality.value, each.token_count) for each in details] == [("IMAGE", 1680)]
    edit = ["make it blue", types.Part.from_bytes(data=picture.data, mime_type="image/png")]
    chunks = list(client.models.generate_content_stream(model="gemini-3.1-flash-image", contents=edit, config=config))
    streamed = [part for chunk in chunks if chunk.candidates[0].content for part in chunk.candidates[0].content.parts]
    whole = client.models.generate_content(model="gemini-3.1-flash-image", contents=edit, config=config)
    made = [part.inline_data for part in streamed if part.inline_data and not part.thought]
    assert made == blobs(whole) != blobs(reply)
    assert "".join(part.text or "" for part in streamed) == whole.text
    assert chunks[-1].usage_metadata == whole.usage_metadata


@pytest.mark.parametrize("reason", ["IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "NO_IMAGE", "IMAGE_OTHER"])
def test_a_picture_may_be_refused(developer: genai.Client, reason: str) -> None:
    reply = developer.models.generate_content(model=f"gemini-3-pro-image+finish={reason}", contents="a cat")
    assert reply.candidates[0].finish_reason.value == reason
    assert reply.usage_metadata.candidates_tokens_details is None
    assert bool(reply.candidates[0].content) is (reason == "NO_IMAGE")


def test_a_blocked_prompt_has_no_candidates(developer: genai.Client) -> None:
    reply = developer.models.generate_content(model="gemini-3-pro-image+blocked=PROHIBITED_CONTENT", contents="a cat")
    assert reply.candidates is None
    assert reply.prompt_feedback.block_reason is types.BlockedReason.PROHIBITED_CONTENT


def test_both_places_speak(client: genai.Client) -> None:
    voice = types.VoiceConfig(prebuilt_voice_config=types.PrebuiltVoiceConfig(voice_name="Puck"))
    config = types.GenerateContentConfig(
        response_modalities=["AUDIO"], speech_config=types.SpeechConfig(voice_config=voice)
    )
    reply = client.models.generate_content(model="gemini-3.8-flash-tts", contents="Say it: " + "x" * 92, config=config)
    (sound,) = blobs(reply)
    assert sound.mime_type == "audio/L16;codec=pcm;rate=24000"
    assert len(sound.data) == 48_000  # ten milliseconds a character
    assert reply.usage_metadata.candidates_token_count == 25
    chunks = list(
        client.models.generate_content_stream(
            model="gemini-3.8-flash-tts", contents="Say it: " + "x" * 92, config=config
        )
    )
    pieces = [blob.data for chunk in chunks if chunk.candidates[0].content for blob in blobs(chunk)]
    assert len(pieces) == 5 and b"".join(pieces) == sound.data


def test_two_speakers_have_two_voices(developer: genai.Client) -> None:
    voices = [
        types.SpeakerVoiceConfig(
            speaker=name,
            voice_config=types.VoiceConfig(prebuilt_voice_config=types.PrebuiltVoiceConfig(voice_name=voice)),
        )
        for name, voice in (("Ali", "Kore"), ("Zain", "Puck"))
    ]
    speech = types.SpeechConfig(multi_speaker_voice_config=types.MultiSpeakerVoiceConfig(speaker_voice_configs=voices))
    config = types.GenerateContentConfig(response_modalities=["AUDIO"], speech_config=speech)
    reply = developer.models.generate_content(model="gemini-3.8-flash-tts", contents="Ali: hi\nZain: hi", config=config)
    assert blobs(reply)


def test_sound_film_and_documents_are_counted_by_modality(client: genai.Client) -> None:
    contents = [
        "transcribe " * 4,
        types.Part.from_bytes(data=b"RIFFxxxxWAVE", mime_type="audio/wav"),
        types.Part.from_bytes(data=b"\0\0\0\x18ftypmp42", mime_type="video/mp4"),
        types.Part.from_bytes(data=b"%PDF-1.7", mime_type="application/pdf"),
    ]
    reply = client.models.generate_content(model="gemini-3.5-transcribe", contents=contents)
    details = {each.modality.value: each.token_count for each in reply.usage_metadata.prompt_tokens_details}
    assert details == {"TEXT": 11, "AUDIO": 258, "VIDEO": 258, "DOCUMENT": 258}
    assert "[audio:1 audio/wav 12 bytes]" in reply.text


def test_a_picture_is_replayed_with_its_signature(developer: genai.Client) -> None:
    model = "gemini-3-pro-image"
    first = developer.models.generate_content(model=model, contents="a cat").candidates[0].content
    again = types.Content(role="user", parts=[types.Part(text="now blue")])
    started = types.Content(role="user", parts=[types.Part(text="a cat")])
    assert blobs(developer.models.generate_content(model=model, contents=[started, first, again]))
    for part in first.parts:
        part.thought_signature = None
    with pytest.raises(errors.ClientError, match="missing a thought_signature"):
        developer.models.generate_content(model=model, contents=[started, first, again])


# ── Vertex alone ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.filterwarnings("ignore:The generate_images method")
def test_imagen_makes_pictures(vertex: genai.Client) -> None:
    config = types.GenerateImagesConfig(
        number_of_images=3,
        aspect_ratio="3:4",
        output_mime_type="image/jpeg",
        enhance_prompt=True,
        include_rai_reason=True,
        seed=1,
        add_watermark=False,
    )
    reply = vertex.models.generate_images(model="imagen-4.0-generate-001+filtered=1", prompt="a cat", config=config)
    filtered, *made = reply.generated_images
    assert filtered.rai_filtered_reason and filtered.image.image_bytes is None
    assert len(made) == 2
    assert all(each.image.image_bytes.startswith(b"\xff\xd8\xff") and each.enhanced_prompt for each in made)
    stored = types.GenerateImagesConfig(number_of_images=1, output_gcs_uri="gs://bucket/folder")
    reply = vertex.models.generate_images(model="imagen-4.0-generate-001", prompt="a cat", config=stored)
    assert reply.generated_images[0].image.gcs_uri.startswith("gs://bucket/folder/")


def wait(client: genai.Client, operation: Any) -> tuple[Any, int]:
    """The operation when it is done, and how often it was not."""
    for looks in range(9):
        operation = client.operations.get(operation)
        if operation.done:
            return operation, looks
    raise AssertionError("never done")


def test_veo_makes_videos_after_a_while(simulation: Simulation, vertex: genai.Client) -> None:
    config = types.GenerateVideosConfig(
        number_of_videos=2, duration_seconds=6, resolution="1080p", aspect_ratio="9:16", generate_audio=True
    )
    model = "veo-3.1-generate-001+polls=3"
    image = types.Image(image_bytes=PNG, mime_type="image/png")
    source = types.GenerateVideosSource(prompt="a cat", image=image)
    operation = vertex.models.generate_videos(model=model, source=source, config=config)
    assert not operation.done
    assert operation.name.startswith("projects/p/locations/us-central1/publishers/google/models/veo-3.1-generate-001")
    operation, looks = wait(vertex, operation)
    assert looks == 3
    videos = [each.video for each in operation.response.generated_videos]
    assert [video.video_bytes[4:8] for video in videos] == [b"ftyp", b"ftyp"]
    assert operation.response.rai_media_filtered_count == 0
    started = [row for row in simulation.stats()["requests"] if row["model"] == model and row["operation"] == "videos"]
    assert started[-1]["units"] == {"videos": 2, "video_ms": 12_000}


def test_veo_jobs_fail_are_held_back_or_go_to_a_bucket(vertex: genai.Client) -> None:
    def made(model: str, **config: Any) -> Any:
        source = types.GenerateVideosSource(prompt="a cat")
        started = vertex.models.generate_videos(model=model, source=source, config=types.GenerateVideosConfig(**config))
        return wait(vertex, started)[0]

    failed = made("veo-3.1-generate-001+fail=RESOURCE_EXHAUSTED,polls=0")
    assert failed.error["code"] == 8 and failed.response is None
    held_back = made("veo-3.1-generate-001+refusal")
    assert held_back.response.rai_media_filtered_count == 1
    assert held_back.response.rai_media_filtered_reasons and held_back.response.generated_videos is None
    stored = made("veo-3.1-generate-001", output_gcs_uri="gs://bucket/folder")
    assert stored.response.generated_videos[0].video.uri.startswith("gs://bucket/folder/")


def test_a_look_may_fail_alone(vertex: genai.Client) -> None:
    model = "veo-3.1-generate-001+at=poll,status=503,first=1,polls=0"
    operation = vertex.models.generate_videos(model=model, source=types.GenerateVideosSource(prompt="a cat"))
    with pytest.raises(errors.ServerError):
        vertex.operations.get(operation)
    assert vertex.operations.get(operation).done


def test_what_the_developer_api_has_retired_is_not_found(simulation: Simulation, developer: genai.Client) -> None:
    for model, method in (("veo-3.1-generate-preview", "predictLongRunning"), ("imagen-4.0-generate-001", "predict")):
        with pytest.raises(errors.ClientError, match="is not found for API version v1beta") as caught:
            developer._api_client.request("post", f"models/{model}:{method}", {"instances": [{"prompt": "a"}]})
        assert caught.value.code == 404


def service_account_credentials(token_uri: str) -> service_account.Credentials:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    info = {"client_email": "pulse@p.iam.gserviceaccount.com", "private_key": pem, "token_uri": token_uri}
    return service_account.Credentials.from_service_account_info(info, scopes=[SCOPE])


def test_a_service_account_gets_a_token(simulation: Simulation) -> None:
    with vertex_client(simulation.url, service_account_credentials(f"{simulation.url}/token")) as client:
        assert client.models.generate_content(model="gemini-3.8-flash", contents="hi").text


def test_a_token_that_was_never_given_out_is_no_good(simulation: Simulation) -> None:
    with (
        vertex_client(simulation.url, oauth_credentials.Credentials(token="ya29.mine")) as client,
        pytest.raises(errors.ClientError, match="invalid authentication credentials") as caught,
    ):
        client.models.generate_content(model="gemini-3.8-flash", contents="hi")
    assert (caught.value.code, caught.value.status) == (401, "UNAUTHENTICATED")


def test_express_mode_takes_an_api_key(simulation: Simulation) -> None:
    with genai.Client(vertexai=True, api_key="any", http_options=options(simulation.url)) as client:
        assert client.models.generate_content(model="gemini-3.8-flash", contents="hi").text


# ── Interactions ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def interactions(developer: genai.Client) -> Any:
    return developer.interactions


def polled(interactions: Any, interaction_id: str) -> tuple[Any, list[str]]:
    statuses = []
    for _ in range(9):
        interaction = interactions.get(interaction_id)
        statuses.append(interaction.status)
        if interaction.status not in {"queued", "in_progress"}:
            return interaction, statuses
    raise AssertionError("never done")


def test_an_interaction_is_answered_whole_and_streamed(interactions: Any) -> None:
    asked: dict[str, Any] = {
        "model": "gemini-3.8-flash",
        "input": [{"type": "text", "text": "Say سلام"}],
        "system_instruction": "Be brief",
        "generation_config": {"thinking_summaries": "auto", "thinking_level": "low"},
    }
    whole = interactions.create(**asked)
    assert whole.status == "completed" and "سلام" in whole.output_text
    assert [step.type for step in whole.steps] == ["thought", "model_output"]
    usage = whole.usage
    assert usage.total_tokens == usage.total_input_tokens + usage.total_output_tokens + usage.total_thought_tokens
    events = list(interactions.create(**asked, stream=True))
    assert [event.event_type for event in events[:3]] == [
        "interaction.created",
        "interaction.status_update",
        "step.start",
    ]
    deltas = [event.delta for event in events if event.event_type == "step.delta"]
    assert "".join(delta.text for delta in deltas if delta.type == "text") == whole.output_text
    assert events[-1].event_type == "interaction.completed"
    assert events[-1].interaction.usage.output_tokens_by_modality == usage.output_tokens_by_modality
    assert events[-1].interaction.usage.total_tokens == usage.total_tokens


def test_an_interaction_is_kept_continued_and_deleted(interactions: Any) -> None:
    first = interactions.create(model="gemini-3.8-flash", input="one")
    second = interactions.create(model="gemini-3.8-flash", input="two", previous_interaction_id=first.id)
    assert second.usage.total_input_tokens > first.usage.total_input_tokens + first.usage.total_output_tokens - 2
    assert interactions.get(second.id, include_input=True).input == "two"
    resumed = list(interactions.get(second.id, stream=True, last_event_id=f"{second.id}_3"))
    assert resumed[0].event_id == f"{second.id}_4"
    interactions.delete(first.id)
    with pytest.raises(Exception, match="is not found") as caught:
        interactions.get(first.id)
    assert caught.value.body == {"error": {"code": "not_found", "message": f"Interaction '{first.id}' is not found."}}


def test_functions_of_an_interaction_are_called_and_answered(interactions: Any) -> None:
    tools = [
        {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}
    ]
    first = interactions.create(model="gemini-3.8-flash", input="go", tools=tools)
    assert first.status == "requires_action"
    thought, call = first.steps
    assert thought.signature and call.name == "f" and isinstance(call.arguments["a"], int)
    events = list(interactions.create(model="gemini-3.8-flash", input="go", tools=tools, stream=True))
    arguments = "".join(
        event.delta.arguments
        for event in events
        if getattr(getattr(event, "delta", None), "type", "") == "arguments_delta"
    )
    assert json.loads(arguments) == call.arguments
    result = {"type": "function_result", "call_id": call.id, "result": {"found": "قلم"}}
    second = interactions.create(
        model="gemini-3.8-flash", input=[result], tools=tools, previous_interaction_id=first.id
    )
    assert "قلم" in second.output_text
    steps = [
        {"type": "user_input", "content": [{"type": "text", "text": "go"}]},
        {"type": "thought", "signature": thought.signature},
        {"type": "function_call", "id": call.id, "name": "f", "arguments": call.arguments},
        result,
    ]
    assert "قلم" in interactions.create(model="gemini-3.8-flash", input=steps, tools=tools).output_text
    with pytest.raises(Exception, match="missing a thought_signature"):
        interactions.create(model="gemini-3.8-flash", input=[steps[0], *steps[2:]], tools=tools)


@pytest.mark.parametrize("delivery", ["inline", "uri"])
def test_omni_makes_a_video_in_the_background(
    simulation: Simulation, developer: genai.Client, interactions: Any, delivery: str
) -> None:
    wanted = {"type": "video", "duration": "5s", "aspect_ratio": "9:16", "resolution": "1080p", "delivery": delivery}
    model = "gemini-omni-1.2-flash+polls=2"
    started = interactions.create(model=model, input="a cat", response_format=wanted, background=True)
    assert started.status == "queued"
    done, statuses = polled(interactions, started.id)
    assert statuses == ["in_progress", "in_progress", "completed"]
    assert done.output_video.mime_type == "video/mp4"
    if delivery == "uri":
        assert done.output_video.data is None
        file_id = done.output_video.uri.partition("/files/")[2].partition(":")[0]
        assert developer.files.download(file=f"files/{file_id}")[4:8] == b"ftyp"
    else:
        assert done.output_video.data
    assert [(each.modality, each.tokens) for each in done.usage.output_tokens_by_modality] == [("video", 42_000)]
    rows = [row for row in simulation.stats()["requests"] if row["model"] == model][-4:]
    assert [row["billed"]["output"] for row in rows] == [0, 0, 0, 42_000]


def test_omni_makes_a_video_at_once_and_from_a_picture(interactions: Any) -> None:
    picture = {"type": "image", "mime_type": "image/png", "data": base64.b64encode(PNG).decode()}
    made = interactions.create(
        model="gemini-omni-1.1-flash",
        input=[{"type": "text", "text": "move"}, picture],
        generation_config={"video_config": {"task": "image_to_video"}},
    )
    assert made.status == "completed" and made.output_video.data
    assert {each.modality: each.tokens for each in made.usage.input_tokens_by_modality} == {"text": 1, "image": 258}


def test_an_interaction_in_the_background_is_cancelled_or_fails(interactions: Any) -> None:
    started = interactions.create(model="gemini-omni-1.2-flash", input="a cat", background=True)
    assert interactions.cancel(started.id).status == "cancelled"
    assert interactions.get(started.id).status == "cancelled"
    with pytest.raises(Exception, match="can be cancelled"):
        interactions.cancel(started.id)
    started = interactions.create(model="gemini-omni-1.2-flash+fail=INTERNAL,polls=0", input="a cat", background=True)
    failed, _ = polled(interactions, started.id)
    assert failed.status == "failed" and failed.errors[0].code == "internal"


def test_an_interaction_makes_pictures_and_speech(interactions: Any) -> None:
    wanted = {"type": "image", "aspect_ratio": "1:1", "image_size": "1K", "mime_type": "image/jpeg"}
    made = interactions.create(model="gemini-3-pro-image", input="a cat", response_format=wanted)
    assert made.output_image.mime_type == "image/jpeg" and made.output_image.data
    spoken = interactions.create(
        model="gemini-3.8-flash-tts",
        input="hello",
        response_format={"type": "audio"},
        generation_config={"speech_config": [{"voice": "Puck"}]},
    )
    assert spoken.output_audio.mime_type == "audio/l16"


def test_omni_is_not_found_by_generate_content(client: genai.Client) -> None:
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model="gemini-omni-1.2-flash", contents="a cat")
    assert caught.value.code == 404
