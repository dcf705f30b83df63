"""Moderation: a category is flagged if one of its words is said. Free of charge.

Steering: `blocked=violence` flags that category whatever was said, also for images.
Source: https://developers.openai.com/api/docs/api-reference/moderations (read 2026-11-24) and openai 3.54.0
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pulse_gateway.testing.simulator.dice import Dice, decode_base64, identifier
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.media import data_url, image_type
from pulse_gateway.testing.simulator.openai.body import Strict, converted
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.openai.intake import IMAGE_FORMATS
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.tokens import Tally
from pulse_gateway.testing.simulator.vendor import Frame

__all__ = ["CATEGORIES", "moderate"]

CATEGORIES: dict[str, str] = {
    "harassment": "idiot|loser|احمق",
    "harassment/threatening": "i will find you",
    "hate": "hate",
    "hate/threatening": "exterminate",
    "illicit": "counterfeit|heroin",
    "illicit/violent": "bomb|قنبلة",
    "self-harm": "suicide|انتحار",
    "self-harm/intent": "kill myself",
    "self-harm/instructions": "how to kill myself",
    "sexual": "porn|nude",
    "sexual/minors": "minor porn",
    "violence": "kill|murder|اقتل",
    "violence/graphic": "gore|dismember",
}
"""Each with the words that flag it."""

_SEEN = frozenset(
    {"self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "violence", "violence/graphic"}
)  # those that images are looked at for
_WORDS = {name: re.compile(rf"\b(?:{words})\b") for name, words in CATEGORIES.items()}
_DEFAULT = "omni-moderation-latest"


class TextInput(Strict, tag_field="type", tag="text"):
    text: str


class ImageUrl(Strict):
    url: str


class ImageInput(Strict, tag_field="type", tag="image_url"):
    image_url: ImageUrl


_PART: Any = TextInput | ImageInput


class ModerationRequest(Strict):
    input: str | list[Any]
    model: str = _DEFAULT


def moderate(body: dict[str, Any], seed: int) -> Work:
    """Raises: Refusal."""
    request = converted(body, ModerationRequest)
    model, spec = split_model(request.model)
    if model.startswith(("gpt-", "chatgpt-", "o3")):
        raise refuse(
            f"Invalid value: '{model}'. Value must be a moderation model.", code="invalid_value", param="model"
        )
    texts, images = _inputs(request.input, model)
    tally = Tally(seed, "openai moderation", model)
    for text in texts:
        tally.text(text)

    def render(faults: Faults) -> list[Frame]:
        groups = texts if not images else ["\n".join(texts)]
        results = [_result(each, tally.digest, bool(texts), images, faults.blocked) for each in groups]
        reply = {"id": identifier("modr-", tally.digest, length=20), "model": request.model, "results": results}
        return [Frame(msgspec.json.encode(reply))]

    return Work(model=request.model, fault_spec=spec, content_type="application/json", render=render)


def _inputs(given: str | list[Any], model: str) -> tuple[list[str], int]:
    """Texts that get a result each, and how many images were sent; if any were, everything gets one result."""
    if isinstance(given, str):
        return [given], 0
    if not given:
        raise refuse("Invalid 'input': empty array.", code="empty_array", param="input")
    if isinstance(given[0], str):
        return converted(given, list[str], "input"), 0
    texts: list[str] = []
    images = 0
    for at, raw in enumerate(given):
        part = converted(raw, _PART, f"input[{at}]")
        if isinstance(part, TextInput):
            texts.append(part.text)
        elif isinstance(part, ImageInput):
            _check_image(part.image_url.url, f"input[{at}].image_url.url")
            images += 1
    if images and model.startswith("text-moderation"):
        raise refuse(f"'{model}' does not look at images.", code="unsupported_value", param="input")
    return ["\n".join(texts)] if texts or images else [], images


def _check_image(url: str, path: str) -> None:
    if url.startswith(("https://", "http://")):
        return
    inline = data_url(url)
    data = decode_base64(inline[1]) if inline else None
    if data is None or image_type(data) not in IMAGE_FORMATS:
        raise refuse("Invalid image URL or data.", code="invalid_image", param=path)


def _result(text: str, digest: bytes, has_text: bool, images: int, blocked: str | None) -> dict[str, Any]:
    dice = Dice(digest, f"scores {text}")
    said = text.lower()
    flagged = {name: name == blocked or bool(words.search(said)) for name, words in _WORDS.items()}
    applied = {
        name: [*(["text"] if has_text else []), *(["image"] if images and name in _SEEN else [])] for name in CATEGORIES
    }
    return {
        "flagged": any(flagged.values()),
        "categories": flagged,
        "category_scores": {
            name: (900 + dice.below(100) if yes else dice.below(100)) / 1000 for name, yes in flagged.items()
        },
        "category_applied_input_types": applied,
    }
