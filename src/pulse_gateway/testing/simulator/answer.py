"""What the model says: the part that is the same for every vendor."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import msgspec

from pulse_gateway.testing.simulator.config import Answers
from pulse_gateway.testing.simulator.dice import Dice
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.prompt import Prompt, Tool
from pulse_gateway.testing.simulator.schema_values import value_for
from pulse_gateway.testing.simulator.scripts import Script, filler, script_of
from pulse_gateway.testing.simulator.tokens import BYTES_PER_TOKEN, count_bytes, count_text, cut

__all__ = ["Answer", "Call", "Choice", "Finish", "Usage", "compose", "fragments"]

Finish = Literal["stop", "stop_sequence", "length", "tool_calls", "refusal"]

_ECHO_CHARACTERS = 80
_SYSTEM_CHARACTERS = 16
_RESULT_CHARACTERS = 2_000
_PIECE_CHARACTERS = 8  # the longest piece of a stream, unless the text is so long that it would have thousands
_PIECES = 1_000


class Call(msgspec.Struct, frozen=True):
    """A tool call; `arguments` is JSON text, or free text for a custom tool. `whole` is false if the budget cut it."""

    name: str
    arguments: str
    custom: bool = False
    whole: bool = True


class Choice(msgspec.Struct, kw_only=True):
    index: int
    reasoning: str = ""  # only if the caller gets to read it
    text: str = ""
    refusal: bool = False  # `text` is a refusal
    calls: list[Call] = []
    finish: Finish = "stop"
    stop_sequence: str | None = None
    output_tokens: int = 0
    reasoning_tokens: int = 0


class Usage(msgspec.Struct, kw_only=True):
    """Tokens in disjoint classes: nothing is counted twice."""

    input: int = 0  # neither read from a cache nor written to one
    cached: int = 0
    cache_write: int = 0
    output: int = 0  # what the caller sees
    reasoning: int = 0

    @property
    def input_total(self) -> int:
        return self.input + self.cached + self.cache_write


class Answer(msgspec.Struct, frozen=True):
    digest: bytes
    choices: list[Choice]
    usage: Usage

    @property
    def created(self) -> int:
        """Seconds since the epoch; some time in November 2026, always the same for the same request."""
        return 1_793_500_000 + Dice(self.digest, "created").below(2_000_000)


def compose(prompt: Prompt, faults: Faults, settings: Answers) -> Answer:
    """Depends on its arguments alone."""
    choices = [_choice(prompt, faults, settings, index) for index in range(prompt.choices)]
    cached = faults.cached or 0
    written = max(0, prompt.marked_tokens - cached) if faults.cache_write is None else faults.cache_write
    total = max(prompt.input_tokens if faults.input is None else faults.input, cached + written)
    usage = Usage(
        input=total - cached - written,
        cached=cached,
        cache_write=written,
        output=sum(choice.output_tokens for choice in choices),
        reasoning=sum(choice.reasoning_tokens for choice in choices),
    )
    return Answer(prompt.digest, choices, usage)


def fragments(text: str, digest: bytes, label: str, pieces: int | None = None) -> list[str]:
    """`text` in `pieces` pieces, or in many small ones that end inside words; characters stay whole."""
    if not text:
        return []
    if pieces is not None:
        pieces = min(pieces, len(text))
        edges = [at * len(text) // pieces for at in range(pieces + 1)]
        return [text[start:end] for start, end in pairwise(edges)]
    dice = Dice(digest, label)
    scale = max(1, len(text) // (_PIECES * _PIECE_CHARACTERS // 2))
    parts = []
    at = 0
    while at < len(text):
        size = (1 + dice.below(_PIECE_CHARACTERS)) * scale
        parts.append(text[at : at + size])
        at += size
    return parts


def _choice(prompt: Prompt, faults: Faults, settings: Answers, index: int) -> Choice:
    script = script_of(prompt.text)
    reasoning_tokens = prompt.reasoning_tokens
    room: int | None = None  # tokens left for what the caller sees
    if prompt.max_tokens is not None:
        reasoning_tokens = min(reasoning_tokens, prompt.max_tokens // 2)  # a short answer is thought about briefly
    if faults.reasoning is not None:
        reasoning_tokens = faults.reasoning
    if prompt.max_tokens is not None:
        reasoning_tokens = min(reasoning_tokens, prompt.max_tokens)
        room = prompt.max_tokens - reasoning_tokens
    choice = Choice(index=index, reasoning_tokens=reasoning_tokens)
    if prompt.shows_reasoning and reasoning_tokens:
        start = f"{script.thinking} “{_echo(prompt.text)}”."
        choice.reasoning = filler(script, Dice(prompt.digest, f"reasoning {index}"), reasoning_tokens, start)

    if faults.refusal:
        choice.text, choice.refusal, choice.finish = script.refusal, True, "refusal"
    elif prompt.tools and (prompt.must_call or not prompt.results):
        choice.text = script.calling if prompt.talks_while_calling else ""
        choice.calls = _calls(prompt, script, index)
        choice.finish = "tool_calls"
    else:
        choice.text = _text(prompt, faults, settings, script, index)
    _stop(choice, prompt.stop)
    if room is not None:
        _limit(choice, room)
    size = sum(len(call.name.encode()) + len(call.arguments.encode()) for call in choice.calls)
    choice.output_tokens = count_bytes(size + len(choice.text.encode()))
    return choice


def _calls(prompt: Prompt, script: Script, index: int) -> list[Call]:
    tools = prompt.tools if prompt.parallel_calls else prompt.tools[:1]
    return [_call(tool, prompt, script, f"call {index} {at}") for at, tool in enumerate(tools)]


def _call(tool: Tool, prompt: Prompt, script: Script, label: str) -> Call:
    dice = Dice(prompt.digest, label)
    if tool.custom:
        return Call(tool.name, filler(script, dice, 12), custom=True)
    schema = tool.schema or {"type": "object"}
    return Call(tool.name, msgspec.json.encode(value_for(schema, dice, script)).decode())


def _text(prompt: Prompt, faults: Faults, settings: Answers, script: Script, index: int) -> str:
    dice = Dice(prompt.digest, f"text {index}")
    if faults.huge is not None:
        return (dice.pick(script.words) * (faults.huge + 1)).encode()[: faults.huge].decode(errors="ignore")
    if prompt.schema is not None:
        return msgspec.json.encode(value_for(prompt.schema, dice, script)).decode()
    if prompt.json_object:
        return msgspec.json.encode({"answer": _opening(prompt, script)}).decode()
    start = settings.text if settings.text is not None else _opening(prompt, script)
    if faults.tokens is not None:
        return filler(script, dice, faults.tokens, start)
    if settings.text is not None:
        return start
    return filler(script, dice, max(settings.tokens, count_text(start) + 1), start, exact=False)


def _opening(prompt: Prompt, script: Script) -> str:
    """Marks of what arrived, then a quotation of it."""
    marks = [f"[system:{prompt.system[:_SYSTEM_CHARACTERS]}]"] if prompt.system else []
    labels: dict[str, list[str]] = {}
    for media in prompt.media:
        labels.setdefault(media.kind, []).append(media.label)
    marks += [f"[{kind}:{len(each)} {', '.join(each)}]" for kind, each in labels.items()]
    marks += [f"[result:{result.name} {result.text[:_RESULT_CHARACTERS]}]" for result in prompt.results]
    return " ".join([*marks, script.opening.format(_echo(prompt.text))])


def _echo(text: str) -> str:
    return " ".join(text[: 2 * _ECHO_CHARACTERS].split())[:_ECHO_CHARACTERS]


def _stop(choice: Choice, sequences: list[str]) -> None:
    """End the text before the first stop sequence in it; of two at the same place the one listed first counts."""
    found = [(at, order, stop) for order, stop in enumerate(sequences) if stop and (at := choice.text.find(stop)) >= 0]
    if found:
        at, _, stop = min(found)
        choice.text, choice.calls, choice.refusal = choice.text[:at], [], False
        choice.finish, choice.stop_sequence = "stop_sequence", stop


def _limit(choice: Choice, tokens: int) -> None:
    """Cut what does not fit: the text first, then the first call that is too long, and all after it."""
    left = tokens * BYTES_PER_TOKEN
    text = cut(choice.text, tokens)
    full = len(text) == len(choice.text)
    left -= len(text.encode())
    kept: list[Call] = []
    for call in choice.calls if full else ():
        left -= len(call.name.encode())
        size = len(call.arguments.encode())
        if left < size:
            full = False
            if left > 0:
                arguments = call.arguments.encode()[:left].decode(errors="ignore")
                kept.append(Call(call.name, arguments, call.custom, whole=False))
            break
        left -= size
        kept.append(call)
    if not full:
        choice.text, choice.calls, choice.finish, choice.stop_sequence = text, kept, "length", None
