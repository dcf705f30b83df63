"""Vendors that copy OpenAI's chat shape: a class, and a row of data for each.

What a row knows was read on 2026-11-24 in the vendor's own reference, linked beside it. What no row mentions is passed on;
the vendor answers for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pulse_gateway.errors import UpstreamError, UpstreamOverloaded, UpstreamQuotaExhausted
from pulse_gateway.providers.mistral_chat import as_mistral_takes_it
from pulse_gateway.providers.offer import Offer, OfferCall
from pulse_gateway.providers.offers import load_offer
from pulse_gateway.providers.passed_over import refuse_passed_over
from pulse_gateway.providers.provider import Authorize, ChatSteps, UpstreamCall
from pulse_gateway.providers.shape_offer import PATHS, ShapeOffer
from pulse_gateway.providers.spelling import Spelling, refuse_tokens, reworded, spelled, told_members
from pulse_gateway.providers.vendor_rules import groq_schemas, xai_reasoning
from pulse_gateway.types.catalog import Deployment, Model
from pulse_gateway.types.chat import AudioPart, ChatRequest, DocumentPart, ImagePart, Part
from pulse_gateway.types.http import Headers, HttpRequest, Payload
from pulse_gateway.wire.openai_chat.errors import OPENAI_ERRORS, ErrorTable, upstream_error
from pulse_gateway.wire.openai_chat.extensions import EXTENSIONS, may_have_extensions, without_extensions
from pulse_gateway.wire.openai_chat.mending import ChatMender
from pulse_gateway.wire.openai_responses.decode import needs_memory
from pulse_gateway.wire.openai_responses.foreign_thinking import without_foreign_thinking
from pulse_gateway.wire.passthrough import Mender
from pulse_gateway.wire.refusals import not_taken, unsupported

__all__ = [
    "CEREBRAS", "DEEPSEEK", "FIREWORKS", "GROQ", "LMSTUDIO", "MISTRAL", "OLLAMA", "OPENAI_COMPATIBLE", "OPENROUTER",
    "PERPLEXITY", "TOGETHER", "VLLM", "XAI", "OpenAICompatible",
]  # fmt: skip

_BOTH = frozenset({"openai.chat", "openai.responses"})
# What every copy of OpenAI's API has, and what some have of it.
_EMBEDDINGS = {"embeddings": "openai.embeddings"}
_IMAGES = {"images": "openai.images.generations"}
_LISTENING = {"transcription": "openai.transcriptions", "translation": "openai.translations"}
_MEDIA = {**_IMAGES, "image_edits": "openai.images.edits", "speech": "openai.speech", **_LISTENING}
_RERANK = {"rerank": "cohere.rerank"}


class _Standing(msgspec.Struct, frozen=True):
    """What is the same in every chat with one deployment. `own`: the gateway's own headers; `headers`: the key and
    what is configured among them."""

    url: str
    own: Headers
    headers: Headers
    of: tuple[OpenAICompatible, Deployment]  # whose ids it is known by, so that no others come to have them


_STANDING: dict[tuple[str, bool, int, int], _Standing] = {}
_MOST_STANDING = 1_024


class OpenAICompatible(msgspec.Struct, frozen=True, kw_only=True):
    """One vendor.

    `base_url` serves a deployment that names none; a row without one needs it configured.
    `refuses`: neutral fields answered with 400; also `messages.name`, `messages.media`, `messages.documents` and `tools.strict`.
    `passes_over`: members that it would pass over in silence, refused within its own dialects too where they ask for something.
    `drops`: members that the vendor answers with an error, or passes over, and whose absence changes no answer.
    `renames`: members that the vendor knows by another name.
    `replays`: those `EXTENSIONS` of messages that it takes back; None: whatever a client sends is passed on.
    `words`: by member, words that the vendor has others for. `rewrite`: what else of a chat has to be otherwise.
    `rules`: what it lacks for some models, or for some fields together.
    `misspeaks`: OpenAI's own SDK would misread its answers. `errors`: what its statuses and codes mean.
    `dialect`: how its answers are read; `dialects`: the chat dialects it speaks. `remembers`: whether its Responses keep what a later request may refer to.
    `paths`: by dialect, where it speaks one that is not spoken where everybody else does; `models`: where it lists those.
    `operations`: what it has beside chat, and in which dialect; else the offer itself, or the `module:NAME` where it is. `whole`: those
    that it never streams. `spellings`: by dialect beside chat, what it spells otherwise.
    """

    kind: str
    base_url: str = ""
    dialect: str = "openai.chat"
    passed_headers: frozenset[str] = frozenset()
    key_header: str = "authorization"
    key_prefix: str = "Bearer "
    refuses: frozenset[str] = frozenset()
    passes_over: frozenset[str] = frozenset()
    drops: frozenset[str] = frozenset()
    renames: Mapping[str, str] = {}
    replays: frozenset[str] | None = frozenset()
    words: Mapping[str, Mapping[str, str]] = {}
    rewrite: Callable[[bytes], bytes] | None = None
    rules: tuple[Callable[[ChatRequest, Model], str | None], ...] = ()
    misspeaks: bool = False
    errors: ErrorTable = OPENAI_ERRORS
    dialects: frozenset[str] = frozenset({"openai.chat"})
    remembers: bool = True
    paths: Mapping[str, str] = {}
    operations: Mapping[str, str | Offer] = {}
    whole: frozenset[str] = frozenset()
    spellings: Mapping[str, Spelling] = {}
    authorize: Authorize | None = None
    chat_steps: ChatSteps | None = None

    def build(self, call: UpstreamCall, /) -> HttpRequest:
        """Configured headers win over the gateway's own, and those over the client's."""
        dialect, deployment, body = call.dialect or self.dialect, call.deployment, call.body
        standing = _STANDING.get((dialect, call.stream, id(deployment), id(self)))
        if standing is None:
            standing = self._standing(dialect, call.stream, deployment)
        if dialect == "openai.chat" and (self.drops or self.renames or self.words or self.rewrite is not None):
            body = self._as_the_vendor_has_it(body)
        if call.client_headers or deployment.headers:
            headers = self._headers(call, standing.own)
        else:  # none of these names occurs twice
            headers = call.trace_headers + standing.headers
        return HttpRequest("POST", standing.url, headers, body)

    def _standing(self, dialect: str, stream: bool, deployment: Deployment) -> _Standing:
        own = (("content-type", "application/json"), ("accept", "text/event-stream" if stream else "application/json"))
        headers = self._headers(OfferCall(deployment=deployment), own)
        standing = _Standing(self.url(deployment, self.path(dialect)), own, headers, (self, deployment))
        if len(_STANDING) >= _MOST_STANDING:
            _STANDING.clear()
        _STANDING[dialect, stream, id(deployment), id(self)] = standing
        return standing

    def _as_the_vendor_has_it(self, body: bytes) -> bytes:
        body = reworded(spelled(body, self.drops, self.renames), self.words)
        return body if self.rewrite is None else self.rewrite(body)

    def trimmed(self, body: bytes, dialect: str, deployment: Deployment, /) -> tuple[bytes, tuple[str, ...]]:
        """Also named is what `drops` takes away of a client's wishes.

        Raises: UnsupportedParameter for what the vendor `passes_over`.
        """
        if self.passes_over:
            refuse_passed_over(body, self.passes_over, deployment)
        if dialect != "openai.chat":
            return without_foreign_thinking(body) if dialect == "openai.responses" else (body, ())
        dropped: tuple[str, ...] = ()
        if self.replays is not None and may_have_extensions(body):
            body, dropped = without_extensions(body, EXTENSIONS - self.replays)
        return body, (*dropped, *told_members(body, self.drops - _OURS)) if self.drops else dropped

    def mender(self, dialect: str, /) -> Mender | None:
        aloud = self.dialect == "openai.chat.aloud"
        return ChatMender(aloud=aloud) if (self.misspeaks or aloud) and dialect == "openai.chat" else None

    def dialect_of(self, client: str | None, request: Callable[[], ChatRequest], deployment: Deployment, /) -> str:
        if client is None or client not in self.dialects:
            return self.dialect
        if client == "openai.responses" and not self.remembers and needs_memory(request()):
            return self.dialect  # which refuses it by name, where the vendor would pass over it
        return client

    def offer(self, operation: str, deployment: Deployment, /) -> Offer | None:
        offered = self.operations.get(operation)
        if not isinstance(offered, str):
            return offered
        return load_offer(offered) if ":" in offered else ShapeOffer(self, offered, operation in self.whole)

    def path(self, dialect: str, /) -> str:
        return self.paths.get(dialect) or PATHS[dialect]

    def url(self, deployment: Deployment, path: str, /) -> str:
        base, mark, query = (deployment.base_url or self.base_url).partition("?")
        return f"{base.rstrip('/')}{path}{mark}{query}"

    def headers(self, call: OfferCall, /) -> Headers:
        return self._headers(call, ())

    def check_operation(self, operation: str, request: Any, deployment: Deployment, /) -> None:
        """It takes whatever the dialect has."""

    def spelled(self, dialect: str, body: Payload, deployment: Deployment, /) -> Payload:
        """Raises: UnsupportedParameter, in the dialect's own spelling, for what this vendor left out of its copy."""
        spelling = self.spellings.get(dialect)
        if spelling is None:
            return body
        spelling.refuse(body.data, deployment)
        return Payload(spelled(body.data, spelling.drops, spelling.renames), body.content_type)

    def unsaid(self, dialect: str, body: Payload, /) -> tuple[str, ...]:
        spelling = self.spellings.get(dialect)
        return () if spelling is None or not spelling.drops else told_members(body.data, spelling.drops)

    def _headers(self, call: UpstreamCall | OfferCall, own: Headers) -> Headers:
        deployment = call.deployment
        headers = dict(call.client_headers)
        headers.update(call.trace_headers)
        headers.update(own)
        if deployment.key:
            headers[self.key_header] = self.key_prefix + deployment.key
        headers.update((name.lower(), value) for name, value in deployment.headers)
        return tuple(headers.items())

    def check(self, request: ChatRequest, deployment: Deployment, /) -> None:
        """Raises: UnsupportedParameter with the neutral field name, or with the path of a message."""
        for field in sorted(self.refuses):
            if (param := _asked_for(field, request)) is not None:
                reason = _LACKS.get(field)
                raise unsupported(deployment.model, param, reason) if reason else not_taken(deployment.model, param)
        for rule in self.rules:
            if (field_refused := rule(request, deployment.model)) is not None:
                raise not_taken(deployment.model, field_refused, " in this request")

    def probe(self, base_url: str, key: str | None, headers: Headers, /) -> HttpRequest:
        base, mark, query = base_url.partition("?")
        own = ((self.key_header, self.key_prefix + key),) if key else ()
        path = self.paths.get("models", "/models")
        return HttpRequest("GET", f"{base.rstrip('/')}{path}{mark}{query}", (*own, *headers))

    def error(self, status: int, headers: Headers, body: bytes, /) -> UpstreamError:
        failed = upstream_error(status, headers, body, table=self.errors)
        failed.param = next((name for name, theirs in self.renames.items() if theirs == failed.param), failed.param)
        return failed


# What is no field of its own: the rest of the sentence.
_LACKS = {
    "tools.strict": "takes no strict tools",
    "messages.name": "knows no names of who speaks",
    "messages.media": "reads nothing but text",
    "messages.documents": "reads no documents",
}


def _asked_for(field: str, request: ChatRequest) -> str | None:
    """What to name in the refusal when `request` asks for `field`, else None."""
    match field:
        case "n":
            asked = (request.n or 1) > 1
        case "tool_choice":
            asked = request.tool_choice is not None and request.tool_choice.mode != "auto"
        case "parallel_tool_calls":
            asked = request.parallel_tool_calls is False and bool(request.tools)
        case "tools.strict":
            return "tools" if any(tool.strict for tool in request.tools) else None
        case "messages.name":
            return next((message.path for message in request.messages if message.name is not None), None)
        case "messages.media":
            media = ImagePart | AudioPart | DocumentPart
            holders = (message for message in request.messages if any(isinstance(p, media) for p in message.parts))
            return next((message.path for message in holders), None)
        case "messages.documents":  # a text among them is said as a text
            holders = (message for message in request.messages if any(map(_is_a_file, message.parts)))
            return next((message.path for message in holders), None)
        case _:
            asked = getattr(request, field) not in (None, (), False)
    return field if asked else None


def _is_a_file(part: Part) -> bool:
    return isinstance(part, DocumentPart) and part.text is None


_OURS = frozenset({"stream_options"})  # said on the client's behalf, or about what every stream tells anyway
_NO_FILES = frozenset({"messages.documents"})
_TEXTS_ALONE = {"openai.embeddings": Spelling(check=refuse_tokens)}

# An address that nobody here knows may have any of it, and answers for it.
OPENAI_COMPATIBLE = OpenAICompatible(
    kind="openai_compatible",
    replays=None,
    operations={**_EMBEDDINGS, **_MEDIA, "moderation": "openai.moderations", **_RERANK},
)

# Source: https://console.groq.com/docs/openai, https://console.groq.com/docs/errors
GROQ = OpenAICompatible(
    kind="groq",
    base_url="https://api.groq.com/openai/v1",
    refuses=frozenset({"logprobs", "top_logprobs", "n", "messages.name", "messages.documents"}),
    rules=(groq_schemas,),
    errors={**OPENAI_ERRORS, (498, None): UpstreamOverloaded},  # the flex tier has no capacity left
    dialects=_BOTH,
    operations={"speech": "openai.speech", **_LISTENING},
    whole=frozenset({"transcription"}),
)

# It refuses members it does not know, and streams usage unasked.
# Source: https://docs.mistral.ai/api/endpoint/chat and /embeddings, request types of the `mistralai` SDK
MISTRAL = OpenAICompatible(
    kind="mistral",
    base_url="https://api.mistral.ai/v1",
    refuses=frozenset({"logprobs", "top_logprobs", "messages.name", "messages.documents", "tools.strict"}),
    drops=frozenset({"stream_options", "user"}),
    renames={"seed": "random_seed", "max_completion_tokens": "max_tokens"},
    words={"tool_choice": {"required": "any"}},
    rewrite=as_mistral_takes_it,
    misspeaks=True,
    operations={
        **_EMBEDDINGS,
        "images": "pulse_gateway.providers.mistral_images:IMAGES",
        "image_edits": "pulse_gateway.providers.mistral_images:IMAGES",
        "speech": "pulse_gateway.providers.mistral_speech:SPEECH",
        "moderation": "pulse_gateway.providers.mistral_moderation:MODERATION",
        "transcription": "openai.transcriptions",
    },
    spellings={
        "openai.embeddings": Spelling(
            drops=frozenset({"user"}), renames={"dimensions": "output_dimension"}, check=refuse_tokens
        )
    },
)

# Source: https://api-docs.deepseek.com
DEEPSEEK = OpenAICompatible(
    kind="deepseek",
    base_url="https://api.deepseek.com",
    refuses=frozenset({"messages.media"}),
    replays=frozenset({"reasoning_content"}),
)

# Source: https://docs.x.ai/docs/api-reference; what it has in words of its own: `xai_*.py`
XAI = OpenAICompatible(
    kind="xai",
    base_url="https://api.x.ai/v1",
    replays=frozenset({"reasoning_content"}),
    refuses=frozenset({"tools.strict", "messages.documents"}),
    rules=(xai_reasoning,),
    misspeaks=True,
    dialects=_BOTH,
    operations={
        **_IMAGES,
        "image_edits": "pulse_gateway.providers.xai_images:EDITS",
        "speech": "pulse_gateway.providers.xai_speech:SPEECH",
        "transcription": "pulse_gateway.providers.xai_transcription:TRANSCRIPTION",
        "videos": "pulse_gateway.providers.xai_videos:VIDEOS",
    },
    whole=frozenset({"images"}),
)

# Source: https://docs.together.ai/docs/openai-api-compatibility, /reference/embeddings and /docs/rerank-overview
TOGETHER = OpenAICompatible(
    kind="together",
    base_url="https://api.together.ai/v1",
    refuses=_NO_FILES,
    misspeaks=True,
    operations={
        **_EMBEDDINGS,
        **_RERANK,
        **_IMAGES,
        **_LISTENING,
        "image_edits": "pulse_gateway.providers.together_images:EDITS",
        "speech": "pulse_gateway.providers.together_speech:SPEECH",
        "videos": "pulse_gateway.providers.together_videos:VIDEOS",
    },
    whole=frozenset({"images"}),
    spellings=_TEXTS_ALONE,
)

# Source: https://docs.fireworks.ai/tools-sdks/openai-compatibility, /guides/response-api, /guides/inference-error-codes and
# /api-reference/rerank-documents
FIREWORKS = OpenAICompatible(
    kind="fireworks",
    base_url="https://api.fireworks.ai/inference/v1",
    refuses=_NO_FILES,
    errors={**OPENAI_ERRORS, (412, None): UpstreamQuotaExhausted},  # the account is suspended
    dialects=_BOTH,
    operations={
        **_EMBEDDINGS,
        **_RERANK,
        "images": "pulse_gateway.providers.fireworks_images:IMAGES",
        "image_edits": "pulse_gateway.providers.fireworks_images:IMAGES",
        "transcription": "pulse_gateway.providers.fireworks_listening:TRANSCRIPTION",
        "translation": "pulse_gateway.providers.fireworks_listening:TRANSLATION",
    },
)

# Source: https://inference-docs.cerebras.ai/resources/openai
CEREBRAS = OpenAICompatible(
    kind="cerebras",
    base_url="https://api.cerebras.ai/v1",
    replays=frozenset({"reasoning"}),
    refuses=frozenset({"presence_penalty", "frequency_penalty", "messages.documents"}),
)

# Its Responses refuse what they would have to remember; refused here, the request may still go to another vendor.
# Source: https://openrouter.ai/docs/api/reference/overview, /api_reference/responses, /api-reference/embeddings and /rerank
OPENROUTER = OpenAICompatible(
    kind="openrouter",
    base_url="https://openrouter.ai/api/v1",
    replays=frozenset({"reasoning", "reasoning_details"}),
    passed_headers=frozenset({"http-referer", "x-title"}),
    words={"reasoning_effort": {"max": "xhigh"}},
    dialects=_BOTH,
    remembers=False,
    operations={
        **_EMBEDDINGS,
        **_RERANK,
        "images": "pulse_gateway.providers.openrouter_images:IMAGES",
        "image_edits": "pulse_gateway.providers.openrouter_images:IMAGES",
        "speech": "pulse_gateway.providers.openrouter_speech:SPEECH",
        "transcription": "pulse_gateway.providers.openrouter_transcription:TRANSCRIPTION",
        "videos": "pulse_gateway.providers.openrouter_videos:VIDEOS",
    },
)

# It documents no list of models, so a probe may be answered with 404 although address and key are right.
# Files are parts of its own (`file_url`). Models that reason write that into the text.
# Source: https://docs.perplexity.ai/api-reference/chat-completions-post and /guides/image-attachments
PERPLEXITY = OpenAICompatible(
    kind="perplexity",
    base_url="https://api.perplexity.ai",
    dialect="openai.chat.aloud",
    refuses=frozenset({"tools", "messages.documents"}),
    operations={"embeddings": "pulse_gateway.providers.perplexity_embeddings:EMBEDDINGS"},
)

# Members it does not know it ignores, which would leave a forced tool or a second choice silently unanswered.
# Source: https://docs.ollama.com/api/openai-compatibility; that calls one at a time cannot be had either is unconfirmed
OLLAMA = OpenAICompatible(
    kind="ollama",
    base_url="http://localhost:11434/v1",
    misspeaks=True,
    replays=frozenset({"reasoning"}),
    refuses=frozenset({"n", "tool_choice", "parallel_tool_calls", "messages.documents"}),
    passes_over=frozenset({"n", "tool_choice", "parallel_tool_calls", "logit_bias", "functions"}),
    drops=frozenset({"user"}),
    dialects=_BOTH,
    remembers=False,
    operations={**_EMBEDDINGS, "transcription": "openai.transcriptions"},
    whole=frozenset({"transcription"}),
    spellings=_TEXTS_ALONE,
)

# Source: https://docs.vllm.ai/en/latest/serving/openai_compatible_server
VLLM = OpenAICompatible(
    kind="vllm",
    base_url="http://localhost:8000/v1",
    refuses=_NO_FILES,
    replays=frozenset({"reasoning", "reasoning_content"}),
    dialects=_BOTH,
    operations={**_EMBEDDINGS, **_RERANK, "speech": "openai.speech", **_LISTENING},
)

# Source: https://lmstudio.ai/docs/developer/openai-compat
LMSTUDIO = OpenAICompatible(
    kind="lmstudio",
    base_url="http://localhost:1234/v1",
    refuses=_NO_FILES,
    replays=frozenset({"reasoning_content"}),
    dialects=_BOTH,
    operations=_EMBEDDINGS,
)
