"""Embeddings: unit vectors that depend on the model and the text alone.

A shorter vector is the beginning of the longer one, made a unit vector again. Each text is as many tokens as ever (four
bytes are one); a list of token ids is as many as it is long.
Source: https://developers.openai.com/api/docs/api-reference/embeddings (read 2026-11-24) and openai 3.54.0
"""

from __future__ import annotations

import base64
import math
import struct
from array import array
from hashlib import shake_128
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pulse_gateway.testing.simulator.answer import Usage
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.openai.body import Strict, converted
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.tokens import count_text
from pulse_gateway.testing.simulator.vendor import Frame

__all__ = ["embeddings", "unit_vector"]

_ENCODE = msgspec.json.encode
_MOST_INPUTS = 2048
_MOST_TOKENS = 8192
_MOST_TOKENS_TOGETHER = 300_000
_SIZES = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
_ANY_SIZE = 256  # of models nobody knows
_MOST_DIMENSIONS = 4096


class EmbeddingRequest(Strict):
    input: str | list[Any]
    model: str
    dimensions: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    encoding_format: Literal["float", "base64"] | UnsetType = UNSET
    user: str | UnsetType = UNSET


def embeddings(body: dict[str, Any], seed: int) -> Work:
    """Raises: Refusal."""
    request = converted(body, EmbeddingRequest)
    model, spec = split_model(request.model)
    size = _size(request, model)
    inputs = _inputs(request.input)
    tokens = [count_text(each) if isinstance(each, str) else len(each) for each in inputs]
    if max(tokens) > _MOST_TOKENS:
        raise refuse(
            f"This model's maximum context length is {_MOST_TOKENS} tokens, however you requested {max(tokens)} tokens. "
            "Please reduce your prompt.",
            param="input",
        )
    if sum(tokens) > _MOST_TOKENS_TOGETHER:
        raise refuse(
            f"Invalid 'input': maximum request size is {_MOST_TOKENS_TOGETHER} tokens per request.",
            code="max_tokens_per_request",
            param="input",
        )

    def render(faults: Faults) -> list[Frame]:
        vectors = [unit_vector(seed, model, each, size) for each in inputs]
        shown = [_base64(each) if request.encoding_format == "base64" else each.tolist() for each in vectors]
        reply: dict[str, Any] = {
            "object": "list",
            "data": [{"object": "embedding", "index": at, "embedding": each} for at, each in enumerate(shown)],
            "model": request.model,
        }
        if not faults.no_usage:
            reply["usage"] = {"prompt_tokens": sum(tokens), "total_tokens": sum(tokens)}
        return [Frame(_ENCODE(reply))]

    return Work(
        model=request.model,
        fault_spec=spec,
        content_type="application/json",
        render=render,
        usage=Usage(input=sum(tokens)),
    )


def unit_vector(seed: int, model: str, text: str | list[int], size: int) -> array[float]:
    """Of `size` dimensions, rounded as 32-bit floats are."""
    key = text.encode() if isinstance(text, str) else repr(text).encode()
    raw = struct.unpack(f"<{size}h", shake_128(f"{seed}\0{model}\0".encode() + key).digest(2 * size))
    length = math.sqrt(sum(each * each for each in raw)) or 1.0
    return array("f", [each / length for each in raw])


def _base64(vector: array[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _size(request: EmbeddingRequest, model: str) -> int:
    if model.startswith(("gpt-", "chatgpt-", "o3", "whisper", "tts-")):
        raise refuse("You are not allowed to generate embeddings from this model", status=403)
    full = _SIZES.get(model)
    wanted = request.dimensions
    if wanted is UNSET:
        return full or _ANY_SIZE
    if model == "text-embedding-ada-002":
        raise refuse("This model does not support specifying dimensions.", param="dimensions")
    if wanted > (full or _MOST_DIMENSIONS):
        raise refuse(
            f"Invalid value for 'dimensions' = {wanted}. Must be less than or equal to {full or _MOST_DIMENSIONS}.",
            code="invalid_value",
            param="dimensions",
        )
    return wanted


def _inputs(given: str | list[Any]) -> list[str | list[int]]:
    """One text, several texts, one list of token ids, or several."""
    if isinstance(given, str):
        texts: list[Any] = [given]
    elif given and isinstance(given[0], int):
        texts = [converted(given, list[int], "input")]
    else:
        texts = given
    if not texts:
        raise refuse("Invalid 'input': empty array.", code="empty_array", param="input")
    if len(texts) > _MOST_INPUTS:
        raise refuse(
            f"Invalid 'input': array too long. Expected an array with maximum length {_MOST_INPUTS}, but got an array "
            f"with length {len(texts)} instead.",
            code="array_above_max_length",
            param="input",
        )
    kind: Any = str if isinstance(texts[0], str) else list[int]
    checked: list[str | list[int]] = [converted(each, kind, f"input[{at}]") for at, each in enumerate(texts)]
    for at, each in enumerate(checked):
        if not each:
            raise refuse(f"Invalid 'input[{at}]': input cannot be empty.", code="invalid_value", param="input")
        if isinstance(each, list) and min(each) < 0:
            raise refuse(f"Invalid 'input[{at}]': token ids are not negative.", code="invalid_value", param="input")
    return checked
