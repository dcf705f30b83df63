"""A guardrail of Bedrock as a judge: the model `guardrail/ID:VERSION` (or its ARN), asked by `ApplyGuardrail`. Nothing is generated.

Its filters are told by OpenAI's names where they mean the same. What OpenAI has no name for keeps Amazon's: `prompt_attack`,
`topic/…`, `word/…`, `pii/…`, `regex/…`. A guardrail is sure of a thing by degrees, not by numbers: thirds of 1.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ApplyGuardrail.html and
https://docs.aws.amazon.com/bedrock/latest/userguide/guardrails-components.html (read 2026-11-24); botocore 1.44, `ApplyGuardrailResponse`
"""

from __future__ import annotations

import base64
import re
from collections.abc import Generator, Iterator, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.providers.bedrock import asked, service_url
from pulse_gateway.providers.bedrock_pictures import sketch_of
from pulse_gateway.providers.offer import OfferCall, Step, Steps, ask
from pulse_gateway.providers.tab import Tab
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.chat import ImagePart, TextPart
from pulse_gateway.types.http import header
from pulse_gateway.types.images import ImageFile
from pulse_gateway.types.moderations import ModerationReply, ModerationRequest, ModerationResult
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.foreign_json import from_provider
from pulse_gateway.wire.refusals import refuse_extra, unsupported

__all__ = ["MODERATION", "GuardrailModeration"]

_NAME = re.compile(
    r"(?P<arn>arn:aws[a-z-]*:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:guardrail/[a-z0-9]+|)"
    r"(?:guardrail/(?P<id>[a-z0-9]+))?(?::(?P<version>DRAFT|[1-9][0-9]{0,7}))?"
)
_DRAFT = "DRAFT"  # what is asked where no version is named: the guardrail as it is being worked on
_UNIT_CHARACTERS = 1000  # of a text unit, which is what is billed
_DATA_URL = re.compile(r"data:[^,]*;base64,", re.ASCII)
_OPENAIS = {
    "HATE": "hate",
    "INSULTS": "harassment",
    "SEXUAL": "sexual",
    "VIOLENCE": "violence",
    "MISCONDUCT": "illicit",
    "PROMPT_ATTACK": "prompt_attack",
}
_SURE = {"NONE": 0.0, "LOW": 1 / 3, "MEDIUM": 2 / 3, "HIGH": 1.0}


class _Found(msgspec.Struct):
    """Of any policy: which of `type`, `name` and `match` there is differs."""

    action: str = "NONE"
    detected: bool | None = None
    type: str | None = None
    name: str | None = None
    match: str | None = None
    confidence: str | None = None

    @property
    def is_met(self) -> bool:
        return self.action != "NONE" if self.detected is None else self.detected


class _Policy(msgspec.Struct, frozen=True, rename="camel"):
    filters: Sequence[_Found] = ()
    topics: Sequence[_Found] = ()
    custom_words: Sequence[_Found] = ()
    managed_word_lists: Sequence[_Found] = ()
    pii_entities: Sequence[_Found] = ()
    regexes: Sequence[_Found] = ()


class _Assessment(msgspec.Struct, rename="camel"):
    content_policy: _Policy = _Policy()
    topic_policy: _Policy = _Policy()
    word_policy: _Policy = _Policy()
    sensitive_information_policy: _Policy = _Policy()
    contextual_grounding_policy: _Policy = _Policy()


class _Usage(msgspec.Struct, frozen=True, rename="camel"):
    topic_policy_units: int = 0
    content_policy_units: int = 0
    word_policy_units: int = 0
    sensitive_information_policy_units: int = 0
    sensitive_information_policy_free_units: int = 0
    contextual_grounding_policy_units: int = 0
    automated_reasoning_policy_units: int = 0


class _Answer(msgspec.Struct):
    action: str
    assessments: list[_Assessment] = []
    usage: _Usage = _Usage()


_decode = msgspec.json.Decoder(_Answer).decode


class GuardrailModeration:
    """An `Offer` of `moderation`. Each item is judged by a call of its own."""

    dialect = None

    def check(self, request: ModerationRequest, deployment: Deployment, /) -> tuple[str, ...]:
        model = deployment.model
        refuse_extra(request.extra, model)
        _place(deployment)
        if any(isinstance(part, TextPart) and not part.text for item in request.input for part in item):
            raise unsupported(model, "input", "judges no empty text")
        return ()

    def steps(self, request: ModerationRequest, call: OfferCall, /) -> Steps[ModerationReply]:
        url = service_url(call.deployment, f"{_place(call.deployment)}/apply")
        tab, results, first = Tab(), list[ModerationResult](), ""
        for item in request.input:
            content = yield from _content(item, call.deployment)
            answer = yield from ask(
                asked(call, "POST", url, {"source": "INPUT", "content": content, "outputScope": "FULL"})
            )
            first = first or header(answer.headers, "x-amzn-requestid") or ""
            read = from_provider(_decode, answer.body)
            units = max(getattr(read.usage, name) for name in _Usage.__struct_fields__)
            yield tab.add(Usage(input_tokens=0, characters=units * _UNIT_CHARACTERS))
            results.append(_result(read, item))
        return ModerationReply(id=first, model=request.model, results=tuple(results), usage=tab.usage)


def _place(deployment: Deployment) -> str:
    """`/guardrail/{id}/version/{version}`. Raises: UnsupportedParameter for a name that is none of a guardrail."""
    found = _NAME.fullmatch(deployment.model.name)
    if found is None or bool(found["arn"]) == bool(found["id"]):
        raise unsupported(deployment.model, "model", "is no guardrail: those are called guardrail/ID:VERSION")
    return f"/guardrail/{quote(found['arn'] or found['id'], safe='')}/version/{found['version'] or _DRAFT}"


def _content(
    item: Sequence[TextPart | ImagePart], deployment: Deployment
) -> Generator[Step, Any, list[dict[str, Any]]]:
    content: list[dict[str, Any]] = []
    for part in item:
        if isinstance(part, TextPart):
            content.append({"text": {"text": part.text}})
        else:
            data = yield from sketch_of(_file(part.url or ""), deployment)
            kind = "png" if data.startswith("iVBOR") else "jpeg"
            content.append({"image": {"format": kind, "source": {"bytes": data}}})
    return content


def _file(url: str) -> ImageFile:
    """Raises: InvalidRequest for a data URL that is no base64."""
    inline = _DATA_URL.match(url)
    if inline is None:
        return ImageFile(url=url, path="input")
    try:
        return ImageFile(data=base64.b64decode(url[inline.end() :], validate=True), path="input")
    except ValueError as error:
        raise InvalidRequest("input: a data URL that is no base64", param="input") from error


def _result(read: _Answer, item: Sequence[TextPart | ImagePart]) -> ModerationResult:
    """Flagged is what is met, and what the guardrail stepped in for."""
    categories: dict[str, bool] = {}
    scores: dict[str, float] = {}
    for assessment in read.assessments:
        for name, found in _findings(assessment):
            met = found.is_met
            score = _SURE.get(found.confidence or "", float(met))
            categories[name] = categories.get(name, False) or met
            scores[name] = max(scores.get(name, 0.0), score)
    kinds = tuple(dict.fromkeys("text" if isinstance(part, TextPart) else "image" for part in item))
    return ModerationResult(
        flagged=read.action == "GUARDRAIL_INTERVENED" or any(categories.values()),
        categories=categories,
        scores=scores,
        input_types=dict.fromkeys(categories, kinds),
    )


def _findings(assessment: _Assessment) -> Iterator[tuple[str, _Found]]:
    """By the name of the category. What was found, a word or a number, is not repeated but where the operator has named it."""
    for found in assessment.content_policy.filters:
        yield _OPENAIS.get(found.type or "", (found.type or "").lower()), found
    for found in assessment.topic_policy.topics:
        yield f"topic/{found.name}", found
    for found in assessment.word_policy.custom_words:
        yield "word/custom", found
    for found in assessment.word_policy.managed_word_lists:
        yield f"word/{(found.type or '').lower()}", found
    for found in assessment.sensitive_information_policy.pii_entities:
        yield f"pii/{(found.type or '').lower()}", found
    for found in assessment.sensitive_information_policy.regexes:
        yield f"regex/{found.name}", found
    for found in assessment.contextual_grounding_policy.filters:
        yield (found.type or "").lower(), found


MODERATION = GuardrailModeration()
