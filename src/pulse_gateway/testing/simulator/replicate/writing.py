"""What language models write, whichever of their inputs asks for it."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from pulse_gateway.testing.simulator.answer import Usage, compose, fragments
from pulse_gateway.testing.simulator.config import Answers
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.media import data_url
from pulse_gateway.testing.simulator.prompt import Media, Prompt
from pulse_gateway.testing.simulator.replicate.errors import invalid_input
from pulse_gateway.testing.simulator.replicate.inputs import Model
from pulse_gateway.testing.simulator.tokens import MEDIA_TOKENS, count_text

__all__ = ["Written", "check_words", "write"]

_LISTS = ("messages", "input_item_list")
_SYSTEM = ("system_prompt", "system_instruction", "instructions")
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens")
_FILES = {"image": "image", "image_input": "image", "images": "image", "audio": "audio", "videos": "video"}
_ROLES = frozenset({"system", "developer", "user", "assistant"})
_EFFORT_TOKENS = {"none": 0, "minimal": 0, "low": 16, "medium": 32, "high": 64}
_ALOUD_TOKENS = 24
_MOST = 1_000_000


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """`pieces` joined are the text. `usage` is what it is billed."""

    pieces: list[str]
    usage: Usage
    logs: str
    value: Any = None  # JSON, where it was written to a schema


def check_words(sent: dict[str, Any]) -> None:
    """Raises: Refusal for messages that are none, and for a schema that is not wrapped as the guide says."""
    for name in _LISTS:
        for at, turn in enumerate(sent.get(name) or ()):
            good = isinstance(turn, dict) and turn.get("role") in _ROLES and isinstance(turn.get("content"), str)
            if not good:
                raise invalid_input([("invalid", f"input.{name}.{at}", "Must be an object with a role and a content")])
    if sent.get("json_schema"):
        form = sent["json_schema"].get("format")
        good = isinstance(form, dict) and form.get("type") == "json_schema" and isinstance(form.get("name"), str)
        if not good or not isinstance(form.get("schema"), dict):
            raise invalid_input(
                [("invalid", "input.json_schema", "Must have a format of type json_schema, a name, a schema")]
            )


def write(model: Model, sent: dict[str, Any], digest: bytes, faults: Faults, answers: Answers) -> Written:
    """`sent` has been checked if the model's inputs are known; else only its texts count."""
    known = model.inputs is not None
    turns: list[dict[str, str]] = next((sent[name] for name in _LISTS if known and sent.get(name)), [])
    if turns:  # then `prompt` and `system_prompt` are ignored
        system = "\n".join(turn["content"] for turn in turns if turn["role"] in {"system", "developer"})
        text = next((turn["content"] for turn in reversed(turns) if turn["role"] == "user"), "")
        read = "".join(turn["content"] for turn in turns)
    else:
        system = next((str(sent[name]) for name in _SYSTEM if sent.get(name)), "")
        text = str(sent.get("prompt", ""))
        read = system + text
    system = system or str(sent.get("instructions", ""))
    media = _media(sent) if known else []
    schema = sent["json_schema"]["format"]["schema"] if known and sent.get("json_schema") else None
    prompt = Prompt(
        digest=digest,
        text=text,
        system=system,
        media=media,
        max_tokens=next((count for name in _LIMITS if (count := _whole(sent.get(name)))), None),
        stop=[stop for stop in str(sent.get("stop_sequences", "")).split(",") if stop],
        schema=schema,
        reasoning_tokens=_thinking(model, sent),
        shows_reasoning=model.thinks_aloud,
        input_tokens=count_text(read) + MEDIA_TOKENS * len(media),
    )
    answer = compose(prompt, faults, answers)
    choice = answer.choices[0]
    aloud = f"<think>\n{choice.reasoning}\n</think>\n\n" if choice.reasoning else ""
    chunks = answers.chunks if faults.chunks is None else faults.chunks
    return Written(
        pieces=fragments(aloud + choice.text, digest, "pieces", chunks),
        usage=answer.usage,
        logs=_logs(answer.usage) if model.reasons else "",
        value=msgspec.json.decode(choice.text) if schema is not None and choice.finish == "stop" else None,
    )


def _media(sent: dict[str, Any]) -> list[Media]:
    found = []
    for name, kind in _FILES.items():
        given = sent.get(name)
        for link in given if isinstance(given, list) else [given]:
            if isinstance(link, str):
                inline = data_url(link)
                label = link if inline is None else f"{inline[0]} {len(base64.b64decode(inline[1] + '=='))} bytes"
                found.append(Media(kind, label))
    return found


def _thinking(model: Model, sent: dict[str, Any]) -> int:
    if model.thinks_aloud:
        return _ALOUD_TOKENS
    return _EFFORT_TOKENS.get(str(sent.get("reasoning_effort", "medium")), 0) if model.reasons else 0


def _logs(usage: Usage) -> str:
    written = usage.output + usage.reasoning
    return (
        f"Input token count: {usage.input_total}\nOutput token count: {written}\n- Reasoning tokens: {usage.reasoning}\n"
        f"Total token count: {usage.input_total + written}\n"
    )


def _whole(value: object) -> int | None:
    """A limit that nobody has checked, within reason."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST else None
