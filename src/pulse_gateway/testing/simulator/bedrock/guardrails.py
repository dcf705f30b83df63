"""Guardrails: `ApplyGuardrail`. Every guardrail has every policy, and the words it hears are the words it judges.

Source: the service model of bedrock-runtime 2023-09-30 in botocore 1.44.8 and
https://docs.aws.amazon.com/bedrock/latest/userguide/guardrails-components.html (read 2026-11-24)
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import UNSET, Meta, UnsetType

from pulse_gateway.testing.simulator.bedrock.bodies import StrictBody
from pulse_gateway.testing.simulator.bedrock.errors import refuse
from pulse_gateway.testing.simulator.dice import decode_base64
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.media import image_type

__all__ = ["GuardrailRequest", "Judged", "judge"]

_UNIT = 1000  # characters
_WORDS = {
    "INSULTS": r"idiot|stupid",
    "HATE": r"\bhate\b",
    "SEXUAL": r"naked|porn",
    "VIOLENCE": r"\bkill|\bhurt|murder",
    "MISCONDUCT": r"\bbomb\b|steal",
    "PROMPT_ATTACK": r"ignore (all|previous) instructions",
}
_MAIL = re.compile(r"[\w.]+@[\w.]+\.\w+")
_ADVICE = re.compile(r"invest|stocks", re.IGNORECASE)
_PROFANITY = re.compile(r"\bdamn\b", re.IGNORECASE)
_MOST_IMAGE_BYTES = 4_000_000


class _Camel(StrictBody, rename="camel"):
    pass


class _Text(_Camel):
    text: str
    qualifiers: list[Literal["grounding_source", "query", "guard_content"]] | UnsetType = UNSET


class _Source(_Camel):
    bytes: Annotated[str, Meta(min_length=1)]


class _Image(_Camel):
    format: Literal["png", "jpeg"]
    source: _Source


class _Content(_Camel):
    text: _Text | UnsetType = UNSET
    image: _Image | UnsetType = UNSET


class GuardrailRequest(_Camel):
    source: Literal["INPUT", "OUTPUT"]
    content: list[_Content]
    output_scope: Literal["INTERVENTIONS", "FULL"] = "INTERVENTIONS"


class Judged(NamedTuple):
    reply: dict[str, Any]
    units: int


def judge(asked: GuardrailRequest, steer: Faults) -> Judged:
    """Raises: Refusal."""
    texts, images = [], 0
    for at, part in enumerate(asked.content):
        if (part.text is UNSET) == (part.image is UNSET):
            raise refuse(f"content.{at}: exactly one member must be set")
        if not isinstance(part.text, UnsetType):
            if not part.text.text:
                raise refuse(f"content.{at}.text.text: must not be empty")
            texts.append(part.text.text)
        elif not isinstance(part.image, UnsetType):
            _check(part.image, at)
            images += 1
    if not texts and not images:
        raise refuse("content: must not be empty")
    said = "\n".join(texts)
    full = asked.output_scope == "FULL"
    filters = [
        _filter(kind, bool(re.search(words, said, re.IGNORECASE)) or steer.blocked == kind)
        for kind, words in _WORDS.items()
    ]
    topics = [_found(bool(_ADVICE.search(said)), name="Investment advice", type="DENY")]
    words = [_found(True, match=word, type="PROFANITY") for word in _PROFANITY.findall(said)]
    personal = [_found(True, "ANONYMIZED", match=mail, type="EMAIL") for mail in _MAIL.findall(said)]
    assessment: dict[str, Any] = {
        "contentPolicy": {"filters": [each for each in filters if full or each["detected"]]},
        "topicPolicy": {"topics": [each for each in topics if full or each["detected"]]},
    }
    if words:
        assessment["wordPolicy"] = {"customWords": [], "managedWordLists": words}
    if personal:
        assessment["sensitiveInformationPolicy"] = {"piiEntities": personal, "regexes": []}
    stopped = any(each["detected"] for each in (*filters, *topics, *words, *personal))
    units = sum(-(-len(text) // _UNIT) for text in texts)
    usage = {
        "topicPolicyUnits": units,
        "contentPolicyUnits": units,
        "wordPolicyUnits": units,
        "sensitiveInformationPolicyUnits": units,
        "sensitiveInformationPolicyFreeUnits": 0,
        "contextualGroundingPolicyUnits": 0,
        "contentPolicyImageUnits": images,
    }
    coverage = {"textCharacters": {"guarded": len(said), "total": len(said)}}
    reply = {
        "usage": usage,
        "action": "GUARDRAIL_INTERVENED" if stopped else "NONE",
        "outputs": [{"text": "Sorry, the model cannot answer this question."}] if stopped else [],
        "assessments": [assessment],
        "guardrailCoverage": coverage,
    }
    return Judged(reply, units)


def _filter(kind: str, detected: bool) -> dict[str, Any]:
    sure = {"confidence": "HIGH" if detected else "NONE", "filterStrength": "HIGH"}
    return {"type": kind, **sure, "action": "BLOCKED" if detected else "NONE", "detected": detected}


def _found(detected: bool, action: str = "BLOCKED", **told: str) -> dict[str, Any]:
    return {**told, "action": action if detected else "NONE", "detected": detected}


def _check(image: _Image, at: int) -> None:
    data = decode_base64(image.source.bytes)
    if data is None or image_type(data) != f"image/{image.format}" or len(data) > _MOST_IMAGE_BYTES:
        raise refuse(f"content.{at}.image: is no {image.format} of at most 4 MB")
