"""Embeddings by `:predict`, as the models before gemini-embedding-2 have them.

Source: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api (read 2026-11-24)
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pulse_gateway.testing.simulator.answer import Usage
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.gemini.embedding import TaskType
from pulse_gateway.testing.simulator.gemini.errors import refuse
from pulse_gateway.testing.simulator.gemini.vendor import JSON
from pulse_gateway.testing.simulator.openai.embeddings import unit_vector
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.tokens import count_text
from pulse_gateway.testing.simulator.vendor import Frame, Request, Target
from pulse_gateway.testing.simulator.vertex.predict import Exact, Prediction, read_prediction

__all__ = ["embed_texts"]

_MOST_TOKENS = 2048
_MOST_TOKENS_TOGETHER = 20_000
_MOST_INSTANCES = 250


class _Instance(Exact, rename=None):
    content: Annotated[str, Meta(min_length=1)]
    task_type: TaskType | None = None
    title: str | None = None
    mime_type: str | None = msgspec.field(name="mimeType", default=None)


class _Parameters(Exact):
    auto_truncate: bool = True
    output_dimensionality: Annotated[int, Meta(ge=1)] | None = None


def embed_texts(seed: int, request: Request, target: Target) -> Work:
    """Raises: Refusal."""
    model, spec = split_model(target.model)
    asked = read_prediction(request, Prediction[_Instance, _Parameters])
    instances: list[_Instance] = asked.instances
    wanted: _Parameters = asked.parameters
    is_gemini = model.startswith("gemini")
    if len(instances) > (1 if is_gemini else _MOST_INSTANCES):
        raise refuse(
            f"{len(instances)} instance(s) is not allowed per prediction. Max allowed: {1 if is_gemini else 250}."
        )
    full = 3072 if is_gemini else 768
    dimensions = wanted.output_dimensionality or full
    if dimensions > full:
        raise refuse(f"outputDimensionality must be at most {full} for {model}.")
    counts = []
    for at, each in enumerate(instances):
        if each.title is not None and each.task_type != "RETRIEVAL_DOCUMENT":
            raise refuse(f"instances[{at}].title: a title is only for the task type RETRIEVAL_DOCUMENT.")
        counts.append(count_text((each.title or "") + each.content))
        if counts[-1] > _MOST_TOKENS and not wanted.auto_truncate:
            raise refuse(
                f"Unable to submit request because the input token count is {counts[-1]} but the model supports up to "
                f"{_MOST_TOKENS}."
            )
    read = [min(count, _MOST_TOKENS) for count in counts]
    if sum(read) > _MOST_TOKENS_TOGETHER:
        raise refuse(f"The input token count is {sum(read)} but the model supports up to {_MOST_TOKENS_TOGETHER}.")

    def render(_: Faults) -> list[Frame]:
        predictions: list[dict[str, Any]] = []
        for each, count, kept in zip(instances, counts, read, strict=True):
            key = f"{each.task_type or ''} {each.title or ''} {each.content}"
            statistics = {"truncated": count > kept, "token_count": kept}
            vector = unit_vector(seed, model, key, dimensions).tolist()
            predictions.append({"embeddings": {"values": vector, "statistics": statistics}})
        characters = sum(len("".join(each.content.split())) for each in instances)
        reply = {"predictions": predictions, "metadata": {"billableCharacterCount": characters}}
        return [Frame(msgspec.json.encode(reply))]

    return Work(model=target.model, fault_spec=spec, content_type=JSON, render=render, usage=Usage(input=sum(read)))
