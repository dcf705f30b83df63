"""A gateway before the simulator, and what is sent through it: images, sound, forms."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

from pulse_gateway import Config, Gateway, Inbound
from pulse_gateway.config import AliasConfig, ProviderConfig, RetriesConfig
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.testing.simulator.samples import picture
from pulse_gateway.wire.multipart import FormPart, build_form

PNG = picture("image/png", 1024, 1024, (10, 20, 30))
PROVIDERS = {
    "openai": ("openai", "x", "/v1"),
    "google": ("google", "x", ""),
    "replicate": ("replicate", "r8_x", ""),
    "stability": ("stability", "x", ""),
    "xai": ("xai", "x", "/as/xai/v1"),
    "together": ("together", "x", "/as/together/v1"),
    "mistral": ("mistral", "x", "/as/mistral/v1"),
    "openrouter": ("openrouter", "x", "/as/openrouter/api/v1"),
    "perplexity": ("perplexity", "x", "/as/perplexity"),
    "fireworks": ("fireworks", "x", "/as/fireworks/inference/v1"),
    "bedrock": ("bedrock", "x", "?region=eu-west-1"),
}


def sound(seconds: float = 2.0) -> bytes:
    """A WAV file."""
    samples = b"\0\1" * int(24_000 * seconds)
    head = struct.pack("<HHIIHH", 1, 1, 24_000, 48_000, 2, 16)
    body = b"WAVEfmt " + struct.pack("<I", 16) + head + b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gateway_to(url: str, ledger: MemoryLedger | None = None, *, attempts: int = 1, **more: Any) -> Gateway:
    providers = {
        name: ProviderConfig(kind=kind, key=key, base_url=url + path) for name, (kind, key, path) in PROVIDERS.items()
    }
    config = Config(providers=providers, retries=RetriesConfig(base_s=0.01, max_wait_s=0.02, attempts=attempts), **more)
    return Gateway(config, ledger=ledger or MemoryLedger(), observers=())


def asked(gateway: Gateway, dialect: str, operation: str, body: Any, **more: Any) -> Inbound:
    """`body`: an object to be sent as JSON, or the parts of a form."""
    if isinstance(body, list):
        form = build_form(body)
        data, kind = form.data, form.content_type
    else:
        data, kind = json.dumps(body).encode(), "application/json"
    return Inbound(
        dialect=dialect, operation=operation, body=data, content_type=kind, principal=gateway.principal("u"), **more
    )


async def image(gateway: Gateway, model: str, **fields: Any) -> Reply:
    body = {"model": model, "prompt": "a fox", **fields}
    return await gateway.handle(asked(gateway, "openai.images.generations", "images", body))


def edit_form(model: str, *images: bytes, mask: bytes | None = None, **fields: str) -> list[FormPart]:
    name = "image" if len(images) == 1 else "image[]"
    parts = [
        FormPart(name=name, data=value.encode())
        for name, value in {"model": model, "prompt": "a fox", **fields}.items()
    ]
    parts += [FormPart(name=name, data=data, filename="a.png", content_type="image/png") for data in images]
    if mask is not None:
        parts.append(FormPart(name="mask", data=mask, filename="m.png", content_type="image/png"))
    return parts


async def edit(gateway: Gateway, parts: Any) -> Reply:
    return await gateway.handle(asked(gateway, "openai.images.edits", "image_edits", parts))


async def speak(gateway: Gateway, model: str, voice: str, **fields: Any) -> Reply:
    body = {"model": model, "input": "Good morning, fox.", "voice": voice, **fields}
    return await gateway.handle(asked(gateway, "openai.speech", "speech", body))


async def listen(
    gateway: Gateway, model: str, *, translate: bool = False, audio: bytes | None = None, **fields: str
) -> Reply:
    parts = [FormPart(name=name, data=value.encode()) for name, value in {"model": model, **fields}.items()]
    parts.append(
        FormPart(name="file", data=sound() if audio is None else audio, filename="a.wav", content_type="audio/wav")
    )
    names = ("openai.translations", "translation") if translate else ("openai.transcriptions", "transcription")
    return await gateway.handle(asked(gateway, *names, parts))


def read(reply: Reply) -> Any:
    return json.loads(reply.body)


def error_of(reply: Reply) -> tuple[int, str, str | None]:
    error = read(reply)["error"]
    return reply.status, error["code"], error["param"]


def files(reply: Reply) -> list[bytes]:
    assert reply.status == 200, reply.body[:400]
    return [base64.b64decode(each["b64_json"]) for each in read(reply)["data"]]


def dropped(reply: Reply) -> str | None:
    return dict(reply.headers).get("x-pulse-dropped")


def alias(first: str, *others: str) -> dict[str, AliasConfig]:
    return {"pictures": AliasConfig(targets=[first], fallbacks=list(others))}
