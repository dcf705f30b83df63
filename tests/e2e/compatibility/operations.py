"""Everything beside chat, by the SDK of each dialect. Each function does one operation and says what its user got."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import anthropic
import httpx
import openai
from google import genai
from google.genai import types

from .asking import b64

__all__ = ["OPERATIONS", "Deed", "Sdks"]

TEXTS = ["Petra at sunset", "ما هي عاصمة الأردن؟"]
_HEAD_BYTES = 24


class Sdks(NamedTuple):
    openai: openai.AsyncOpenAI
    anthropic: anthropic.AsyncAnthropic
    google: genai.Client
    http: httpx.AsyncClient


class Deed(NamedTuple):
    """What to do. `files`: `png` and `wav`."""

    model: str
    voice: str
    stream: bool
    headers: dict[str, str]
    files: dict[str, bytes]
    seconds: str = "4"


Doing = Callable[[Sdks, Deed], Awaitable[dict[str, Any]]]


async def _count_openai(sdks: Sdks, deed: Deed) -> dict[str, Any]:
    counted = await sdks.openai.responses.input_tokens.count(
        model=deed.model, input=TEXTS[0], extra_headers=deed.headers
    )
    return {"tokens": counted.input_tokens}


async def _count_anthropic(sdks: Sdks, deed: Deed) -> dict[str, Any]:
    messages: Any = [{"role": "user", "content": TEXTS[0]}]
    counted = await sdks.anthropic.messages.count_tokens(
        model=deed.model, messages=messages, extra_headers=deed.headers
    )
    return {"tokens": counted.input_tokens}


async def _count_gemini(sdks: Sdks, deed: Deed) -> dict[str, Any]:
    config = types.CountTokensConfig(http_options=types.HttpOptions(headers=deed.headers))
    counted = await sdks.google.aio.models.count_tokens(model=deed.model, contents=TEXTS[0], config=config)
    return {"tokens": counted.total_tokens}


async def _embed_openai(sdks: Sdks, deed: Deed) -> dict[str, Any]:
    """The SDK asks for base64 unless told otherwise; both must be the same numbers."""
    create = sdks.openai.embeddings.create
    packed = await create(model=deed.model, input=TEXTS, extra_headers=deed.headers)
    floats = await create(model=deed.model, input=TEXTS, encoding_format="float", extra_headers=deed.headers)
    return {
        "vectors": [list(each.embedding) for each in packed.data],
        "again": [list(each.embedding) for each in floats.data],
        "input_tokens": packed.usage.prompt_tokens,
    }


async def _embed_gemini(sdks: Sdks, deed: Deed) -> dict[str, Any]:
    config = types.EmbedContentConfig(http_options=types.HttpOptions(headers=deed.headers))
    found = await sdks.google.aio.models.embed_content(model=deed.model, contents=list(TEXTS), config=config)
    return {"vectors": [each.values for each in found.embeddings or []]}


async def _images(sdks: Sdks, deed: Deed) -> dict[str, Any]:
    fields: dict[str, Any] = {"model": deed.model, "prompt": TEXTS[0], "extra_headers": deed.headers}
    if deed.stream:
        return await _pictured(await sdks.openai.images.generate(**fields, stream=True, partial_images=1))
    made = await sdks.openai.images.generate(**fields)
    return {"images": [await _fetched(sdks, each) for each in made.data or []]}


async def _fetched(sdks: Sdks, image: Any) -> str:
    """Some vendors say where a picture is unless they are asked for its bytes."""
    return image.b64_json or b64((await sdks.http.get(image.url)).content)


async def _image_edits(sdks: Sdks, deed: Deed) -> dict[str, Any]:
    image = ("a.png", deed.files["png"], "image/png")
    fields: dict[str, Any] = {"model": deed.model, "prompt": "blue", "image": image, "extra_headers": deed.headers}
    if deed.stream:
        return await _pictured(await sdks.openai.images.edit(**fields, stream=True, partial_images=1))
    made = await sdks.openai.images.edit(**fields)
    return {"images": [each.b64_json for each in made.data or []]}


async def _pictured(stream: Any) -> dict[str, Any]:
    events = [event async for event in stream]
    whole = [event.b64_json for event in events if event.type.endswith(".completed")]
    return {"images": whole, "partial": len(events) - len(whole)}


async def _speech(sdks: Sdks, deed: Deed) -> dict[str, Any]:
    fields: dict[str, Any] = {"model": deed.model, "voice": deed.voice, "input": TEXTS[0]}
    made = sdks.openai.audio.speech.with_streaming_response.create(
        **fields, response_format="wav", extra_headers=deed.headers
    )
    async with made as answer:
        sound = b"".join([piece async for piece in answer.iter_bytes()])
    return {"head": b64(sound[:_HEAD_BYTES]), "bytes": len(sound)}


async def _transcription(sdks: Sdks, deed: Deed) -> dict[str, Any]:
    file = ("a.wav", deed.files["wav"], "audio/wav")
    create = sdks.openai.audio.transcriptions.create
    if not deed.stream:
        return {"text": (await create(model=deed.model, file=file, extra_headers=deed.headers)).text}
    stream = await create(model=deed.model, file=file, stream=True, extra_headers=deed.headers)
    events: list[Any] = [event async for event in stream]
    return {
        "text": "".join(event.text for event in events if event.type == "transcript.text.done"),
        "streamed": "".join(event.delta for event in events if event.type == "transcript.text.delta"),
    }


async def _translation(sdks: Sdks, deed: Deed) -> dict[str, Any]:
    file = ("a.wav", deed.files["wav"], "audio/wav")
    made = await sdks.openai.audio.translations.create(model=deed.model, file=file, extra_headers=deed.headers)
    return {"text": made.text}


async def _moderation(sdks: Sdks, deed: Deed) -> dict[str, Any]:
    texts = ["I will kill you", TEXTS[0]]
    made = await sdks.openai.moderations.create(model=deed.model, input=texts, extra_headers=deed.headers)
    return {"flagged": [each.flagged for each in made.results]}


async def _rerank(sdks: Sdks, deed: Deed) -> dict[str, Any]:
    """No SDK of the four speaks it."""
    body = {"model": deed.model, "query": "capital of Jordan", "documents": ["Petra", "Amman, capital of Jordan"]}
    answer = await sdks.http.post("/v1/rerank", json=body, headers=deed.headers)
    if answer.is_error:
        raise openai.APIStatusError(
            answer.text, response=answer, body=answer.json()["error"]
        )  # read as the SDKs' errors are
    return {"order": [each["index"] for each in answer.json()["results"]]}


async def _videos(sdks: Sdks, deed: Deed) -> dict[str, Any]:
    jobs, headers = sdks.openai.videos, deed.headers
    wanted: Any = {"seconds": deed.seconds, "size": "1280x720"}
    job = await jobs.create(model=deed.model, prompt=TEXTS[0], **wanted, extra_headers=headers)
    ended = await jobs.poll(job.id, poll_interval_ms=250)
    content = await jobs.download_content(job.id, extra_headers=headers)
    data = content.content
    gone = await jobs.delete(job.id, extra_headers=headers)
    return {"status": ended.status, "head": b64(data[:_HEAD_BYTES]), "bytes": len(data), "deleted": gone.deleted}


async def _models_openai(sdks: Sdks, deed: Deed) -> dict[str, Any]:
    listed = {model.id async for model in sdks.openai.models.list(extra_headers=deed.headers)}
    one = await sdks.openai.models.retrieve(deed.model, extra_headers=deed.headers)
    return {"listed": one.id in listed, "id": one.id}


async def _models_anthropic(sdks: Sdks, deed: Deed) -> dict[str, Any]:
    listed = {model.id async for model in sdks.anthropic.models.list(limit=1000, extra_headers=deed.headers)}
    one = await sdks.anthropic.models.retrieve(deed.model, extra_headers=deed.headers)
    return {"listed": one.id in listed, "id": one.id}


async def _models_gemini(sdks: Sdks, deed: Deed) -> dict[str, Any]:
    options = types.HttpOptions(headers=deed.headers)
    pages = await sdks.google.aio.models.list(config=types.ListModelsConfig(page_size=1000, http_options=options))
    listed = {model.name async for model in pages}
    one = await sdks.google.aio.models.get(model=deed.model, config=types.GetModelConfig(http_options=options))
    return {"listed": one.name in listed, "id": (one.name or "").removeprefix("models/")}


OPERATIONS: dict[tuple[str, str], Doing] = {
    ("count", "openai"): _count_openai,
    ("count", "anthropic"): _count_anthropic,
    ("count", "gemini"): _count_gemini,
    ("embeddings", "openai"): _embed_openai,
    ("embeddings", "gemini"): _embed_gemini,
    ("images", "openai"): _images,
    ("edits", "openai"): _image_edits,
    ("speech", "openai"): _speech,
    ("transcription", "openai"): _transcription,
    ("translation", "openai"): _translation,
    ("moderation", "openai"): _moderation,
    ("rerank", "cohere"): _rerank,
    ("videos", "openai"): _videos,
    ("models", "openai"): _models_openai,
    ("models", "anthropic"): _models_anthropic,
    ("models", "gemini"): _models_gemini,
}
"""(operation, dialect) → how it is done."""
