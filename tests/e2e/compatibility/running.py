"""Runs every cell at once, as one user with many questions, and says what each SDK showed."""

from __future__ import annotations

import asyncio
import hashlib
import warnings
from collections.abc import Iterable
from typing import Any

import anthropic
import httpx
import msgspec
import openai
from google import genai
from google.genai import types

from .anthropic_messages import AnthropicMessages
from .asking import PDF, PIXEL, TOOLS, WEATHER, Ask, Chatter, Seen
from .gemini import Gemini
from .grid import Cell
from .openai_chat import OpenAIChat
from .openai_responses import OpenAIResponses
from .operations import OPERATIONS, Deed, Sdks

__all__ = ["RESULTS", "Observed", "Refusal", "ask_of", "headers_of", "run", "trace_of"]

AT_ONCE = 24
VIDEOS_AT_ONCE = 2  # as many again on Node: a user may read four
TIMEOUT_S = 30.0
RESULTS = {"weather": "مشمس 31", "clock": "12:30"}


class Refusal(msgspec.Struct, kw_only=True):
    """An error as the SDK raised it."""

    status: int | None
    code: str | None = None
    param: str | None = None
    message: str = ""


class Observed(msgspec.Struct, kw_only=True):
    """What became of a cell: an answer, an error of the SDK's, or something that no user should see."""

    seen: dict[str, Any] | None = None
    refusal: Refusal | None = None
    broke: str | None = None


def trace_of(client: str, cell: Cell) -> str:
    """The trace id by which the simulator's books are searched."""
    return hashlib.sha256(f"{client}-{cell.name}".encode()).hexdigest()[:32]


def headers_of(client: str, cell: Cell) -> dict[str, str]:
    return {"traceparent": f"00-{trace_of(client, cell)}-00f067aa0ba902b7-01"}


def ask_of(client: str, cell: Cell) -> Ask:
    """What a cell of chat asks."""
    ask = Ask(
        model=cell.model,
        text="Tell me a story",
        stream=cell.mode == "stream",
        results=RESULTS,
        headers=headers_of(client, cell),
    )
    match cell.operation.name:
        case "text":
            ask.system = "أجب بإيجاز دائما"
            ask.history = [("user", "من أنت؟"), ("assistant", "أنا مساعد.")]
            ask.text = "ما هي عاصمة الأردن؟"
        case "limit":
            ask.text, ask.max_tokens = "Tell me a story of a fox. " * 4, 16
        case "tools":
            ask.text, ask.tools = "كيف الطقس وكم الساعة؟", TOOLS
        case "schema":
            ask.text, ask.schema = "Amman, three days", WEATHER
        case "reasoning":
            ask.effort = "high"
        case "image":
            ask.text, ask.image = "What is this?", PIXEL
        case "document":
            ask.text, ask.document = "What does it say?", PDF
    return ask


async def run(url: str, key: str, cells: Iterable[Cell], files: dict[str, bytes]) -> dict[str, Observed]:
    """Cell name → what was observed, by the SDKs for Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the SDKs' own, of methods that the vendor is about to end
        google = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url))
        async with (
            openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=TIMEOUT_S) as one,
            anthropic.AsyncAnthropic(base_url=url, api_key=key, max_retries=0, timeout=TIMEOUT_S) as two,
            google.aio,
            httpx.AsyncClient(base_url=url, headers={"authorization": f"Bearer {key}"}, trust_env=False) as four,
        ):
            sdks = Sdks(one, two, google, four)
            chatters: dict[str, Chatter] = {
                "chat": OpenAIChat(one),
                "responses": OpenAIResponses(one),
                "messages": AnthropicMessages(two),
                "gemini": Gemini(google),
            }
            free, free_for_videos = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(VIDEOS_AT_ONCE)

            async def one_cell(cell: Cell) -> tuple[str, Observed]:
                async with free_for_videos if cell.operation.name == "videos" else free:
                    return cell.name, await _observed(sdks, chatters, cell, files)

            return dict(await asyncio.gather(*map(one_cell, cells)))


async def _observed(sdks: Sdks, chatters: dict[str, Chatter], cell: Cell, files: dict[str, bytes]) -> Observed:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            if (doing := OPERATIONS.get((cell.operation.name, cell.dialect))) is None:
                return Observed(seen=msgspec.to_builtins(await _chat(chatters[cell.dialect], ask_of("python", cell))))
            headers, vendor = headers_of("python", cell), cell.provider
            deed = Deed(cell.model, vendor.voice, cell.mode == "stream", headers, files, vendor.seconds)
            return Observed(seen=await doing(sdks, deed))
    except openai.APIStatusError as error:
        body: Any = error.body if isinstance(error.body, dict) else {}
        return Observed(
            refusal=Refusal(
                status=error.status_code, code=body.get("code"), param=body.get("param"), message=error.message
            )
        )
    except anthropic.APIStatusError as error:
        inner = (error.body if isinstance(error.body, dict) else {}).get("error") or {}
        details = inner.get("details") or {}
        return Observed(
            refusal=Refusal(
                status=error.status_code,
                code=details.get("error_code"),
                param=details.get("param"),
                message=str(inner.get("message")),
            )
        )
    except genai.errors.APIError as error:
        return Observed(refusal=_google_refusal(error))
    except Exception as error:  # whatever it is, it is the cell's outcome
        return Observed(broke=f"{type(error).__name__}: {error}")


def _google_refusal(error: genai.errors.APIError) -> Refusal:
    details: Any = error.details if isinstance(error.details, dict) else {}
    rows = (details.get("error") or details).get("details") or [{}]
    info = next((row for row in rows if "reason" in row), {})
    return Refusal(
        status=error.code,
        code=str(info.get("reason", "")).lower() or None,
        param=(info.get("metadata") or {}).get("param"),
        message=str(error.message),
    )


async def _chat(chatter: Chatter, ask: Ask) -> Seen:
    seen, raw = await chatter.ask(ask)
    if ask.tools and seen.calls:
        second, _ = await chatter.ask(msgspec.structs.replace(ask, previous=raw))
        seen.answered = second.text
    return seen
