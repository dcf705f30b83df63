"""Vectors of Perplexity: whole numbers of eight bits, or single bits, in base64, that depend on the model and the text alone.

What does not fit the schema is a 422 with its place. A shorter vector is the beginning of the longer one. The bits say which numbers are
not negative, the lowest bit of a byte first.
Source: https://docs.perplexity.ai/api-reference/embeddings-post, /docs/embeddings/best-practices and the types of `perplexityai` 0.46
(read 2026-11-24)
"""

from __future__ import annotations

import base64
from hashlib import shake_128
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from pulse_gateway.testing.simulator.answer import Usage
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.tokens import count_text
from pulse_gateway.testing.simulator.vendor import Frame, Refusal

__all__ = ["perplexity_embeddings"]

_SIZES = {"pplx-embed-v1-0.6b": 1024, "pplx-embed-v1-4b": 2560}
_LEAST_DIMENSIONS = 128
_MOST_TEXTS = 512
_MOST_TOKENS, _MOST_TOKENS_TOGETHER = 32_768, 120_000
_NANO_USD_PER_TOKEN = {"pplx-embed-v1-0.6b": 4, "pplx-embed-v1-4b": 30}


class EmbeddingsRequest(msgspec.Struct, forbid_unknown_fields=True):
    input: str | list[str]
    model: str
    dimensions: int | UnsetType = UNSET
    encoding_format: Literal["base64_int8", "base64_binary"] = "base64_int8"


def perplexity_embeddings(body: dict[str, Any], seed: int) -> Work:
    """Raises: Refusal."""
    try:
        request = msgspec.convert(body, EmbeddingsRequest)
    except msgspec.ValidationError as error:
        complaint, _, where = str(error).partition(" - at `$.")
        raise _invalid(complaint, where.rstrip("`")) from error
    model, spec = split_model(request.model)
    if model not in _SIZES:
        raise _invalid(f"Input should be {' or '.join(map(repr, _SIZES))}", "model")
    full = _SIZES[model]
    size = full if request.dimensions is UNSET else request.dimensions
    if not _LEAST_DIMENSIONS <= size <= full:
        raise _invalid(f"dimensions must be between {_LEAST_DIMENSIONS} and {full}", "dimensions")
    texts = [request.input] if isinstance(request.input, str) else request.input
    if not 1 <= len(texts) <= _MOST_TEXTS:
        raise _invalid(f"input must have between 1 and {_MOST_TEXTS} texts", "input")
    if not all(texts):
        raise _invalid("input must not have empty strings", "input")
    tokens = [count_text(text) for text in texts]
    if max(tokens) > _MOST_TOKENS or sum(tokens) > _MOST_TOKENS_TOGETHER:
        raise _invalid("input has too many tokens", "input")

    def render(faults: Faults) -> list[Frame]:
        numbers = [shake_128(f"{seed}\0{model}\0{text}".encode()).digest(size) for text in texts]
        shown = [_bits(each) for each in numbers] if request.encoding_format == "base64_binary" else numbers
        reply: dict[str, Any] = {
            "object": "list",
            "data": [
                {"object": "embedding", "index": at, "embedding": base64.b64encode(each).decode()}
                for at, each in enumerate(shown)
            ],
            "model": request.model,
        }
        if not faults.no_usage:
            dollars = sum(tokens) * _NANO_USD_PER_TOKEN[model] / 1_000_000_000
            cost = {"input_cost": dollars, "total_cost": dollars, "currency": "USD"}
            reply["usage"] = {"prompt_tokens": sum(tokens), "total_tokens": sum(tokens), "cost": cost}
        return [Frame(msgspec.json.encode(reply))]

    return Work(
        model=request.model,
        fault_spec=spec,
        content_type="application/json",
        render=render,
        usage=Usage(input=sum(tokens)),
    )


def _bits(numbers: bytes) -> bytes:
    signs = [number < 128 for number in numbers]
    return bytes(
        sum(sign << at for at, sign in enumerate(signs[start : start + 8])) for start in range(0, len(signs), 8)
    )


def _invalid(message: str, where: str) -> Refusal:
    return Refusal(422, {"detail": [{"type": "value_error", "loc": ["body", where], "msg": message}]})
