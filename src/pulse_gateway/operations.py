"""What a program that embeds the gateway asks for beside chat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from pulse_gateway.pipeline.exchange import Inbound
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.types.audio import SpeechReply, TranscriptionReply
from pulse_gateway.types.embeddings import EmbeddingReply
from pulse_gateway.types.http import Payload
from pulse_gateway.types.identity import Principal
from pulse_gateway.types.images import ImageReply
from pulse_gateway.types.moderations import ModerationReply
from pulse_gateway.types.rerank import RerankReply
from pulse_gateway.types.token_counts import TokenCount
from pulse_gateway.videos.job import VideoJob
from pulse_gateway.wire import registry as wire
from pulse_gateway.wire.multipart import FormPart, build_form
from pulse_gateway.wire.token_counts.counted import free

__all__ = ["Operations"]

_CHAT = "openai.chat"  # what `messages=[…]` is written in


class Operations(Protocol):
    """A method for each operation. Its arguments are the members of the dialect that its docstring names, whatever provider answers;
    `user` is whom it is charged to. Each raises PulseError, one of its kinds.
    """

    async def handle(self, inbound: Inbound) -> Reply: ...

    def principal(self, user: str, plan: str | None = None) -> Principal: ...

    async def embed(
        self,
        *,
        model: str,
        input: str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]],
        user: str,
        plan: str | None = None,
        **fields: Any,
    ) -> EmbeddingReply:
        """A vector for each input; `fields` are those of OpenAI's embeddings."""
        body = {"model": model, "input": input, **fields}
        reply: EmbeddingReply = await self._ask("openai.embeddings", body, self.principal(user, plan))
        return reply

    async def moderate(
        self, *, input: str | Sequence[Any], user: str, model: str | None = None, plan: str | None = None, **fields: Any
    ) -> ModerationReply:
        """Whether each input is harmful; `fields` are those of OpenAI's moderations."""
        body = {"model": model, "input": input, **fields}
        reply: ModerationReply = await self._ask("openai.moderations", body, self.principal(user, plan))
        return reply

    async def rerank(
        self,
        *,
        model: str,
        query: str,
        documents: Sequence[str | Mapping[str, Any]],
        user: str,
        plan: str | None = None,
        **fields: Any,
    ) -> RerankReply:
        """The documents that answer the query best; `fields` are those of Cohere's rerank."""
        body = {"model": model, "query": query, "documents": documents, **fields}
        reply: RerankReply = await self._ask("cohere.rerank", body, self.principal(user, plan))
        return reply

    async def image(self, *, model: str, prompt: str, user: str, plan: str | None = None, **fields: Any) -> ImageReply:
        """Images from a text; `fields` are those of OpenAI's images."""
        body = {"model": model, "prompt": prompt, **fields, "stream": False}
        reply: ImageReply = await self._ask("openai.images.generations", body, self.principal(user, plan))
        return reply

    async def edit_image(
        self,
        *,
        model: str,
        prompt: str,
        images: Sequence[bytes],
        user: str,
        mask: bytes | None = None,
        plan: str | None = None,
        **fields: Any,
    ) -> ImageReply:
        """Images from images, as files of PNG, JPEG or WebP, and a text; `fields` are those of OpenAI's edits of images."""
        files = [("image[]", "image", data) for data in images] + ([] if mask is None else [("mask", "mask", mask)])
        form = _form({"model": model, "prompt": prompt, **fields, "stream": False}, files)
        reply: ImageReply = await self._ask("openai.images.edits", form, self.principal(user, plan))
        return reply

    async def video(self, *, model: str, prompt: str, user: str, plan: str | None = None, **fields: Any) -> VideoJob:
        """Begin a video; `fields` are those of OpenAI's videos. What becomes of it, and the video itself, has `gateway.videos`."""
        body = {"model": model, "prompt": prompt, **fields}
        job: VideoJob = await self._ask("openai.videos", body, self.principal(user, plan))
        return job

    async def speak(
        self, *, model: str, input: str, voice: str, user: str, plan: str | None = None, **fields: Any
    ) -> SpeechReply:
        """A text read aloud, whole; `fields` are those of OpenAI's speech."""
        body = {"model": model, "input": input, "voice": voice, **fields, "stream_format": "audio"}
        reply: SpeechReply = await self._ask("openai.speech", body, self.principal(user, plan))
        return reply

    async def transcribe(
        self,
        *,
        model: str,
        file: bytes,
        user: str,
        name: str = "audio",
        translate: bool = False,
        plan: str | None = None,
        **fields: Any,
    ) -> TranscriptionReply:
        """A recording written down, or translated into English; `fields` are those of OpenAI's transcriptions.

        `name` is the file's: its ending says what it is where its bytes do not.
        """
        form = _form({"model": model, **fields, "stream": False}, [("file", name, file)])
        dialect = "openai.translations" if translate else "openai.transcriptions"
        reply: TranscriptionReply = await self._ask(dialect, form, self.principal(user, plan))
        return reply

    async def count_tokens(
        self, *, model: str, messages: Sequence[Mapping[str, Any]], user: str, plan: str | None = None, **fields: Any
    ) -> TokenCount:
        """How long a prompt is; `messages` and `fields` are those of OpenAI's chat completions. Costs nothing."""
        body = msgspec.json.encode({"model": model, "messages": messages, **fields})
        chat = wire.codec(_CHAT)
        inbound = Inbound(
            operation="count_tokens",
            request=chat.decode_request(body),
            envelope=free(chat.read_envelope(body)),
            principal=self.principal(user, plan),
        )
        count: TokenCount = (await self.handle(inbound)).value
        return count

    async def _ask(self, dialect: str, body: Payload | Mapping[str, Any], principal: Principal) -> Any:
        """The neutral reply to a request that is written in `dialect`: as JSON's members, or as whatever else it comes in."""
        codec = wire.operation_codec(dialect)
        payload = body if isinstance(body, Payload) else Payload(msgspec.json.encode(body))
        inbound = Inbound(
            operation=codec.operation,
            request=codec.decode_request(payload),
            envelope=codec.read_envelope(payload),
            principal=principal,
        )
        return (await self.handle(inbound)).value


def _form(fields: Mapping[str, Any], files: Sequence[tuple[str, str, bytes]]) -> Payload:
    """As the vendors' SDKs write it: a list is a field `name[]` for each item."""
    parts: list[FormPart] = []
    for name, value in fields.items():
        items = [(f"{name}[]", item) for item in value] if isinstance(value, list | tuple) else [(name, value)]
        parts += [FormPart(name=each, data=_text(item).encode()) for each, item in items if item is not None]
    parts += [FormPart(name=field, filename=name, data=data) for field, name, data in files]
    return build_form(parts)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
