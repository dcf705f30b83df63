"""One interaction: what it answers, how far it is, and how it is shown.

Source: https://ai.google.dev/api/interactions-api (read 2026-11-24)
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from pulse_gateway.testing.simulator.answer import Answer
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.gemini import schema as gemini
from pulse_gateway.testing.simulator.gemini.interactions.narrator import Narrator, finished_steps
from pulse_gateway.testing.simulator.gemini.interactions.schema import CreateInteraction
from pulse_gateway.testing.simulator.gemini.media_rendering import Film, Speech, Step
from pulse_gateway.testing.simulator.gemini.rendering import Style, steps_of, token_details
from pulse_gateway.testing.simulator.vendor import Frame

__all__ = ["Interaction"]

_ENCODE = msgspec.json.encode
_OPEN = frozenset({"queued", "in_progress"})
_FAILURE = "The interaction failed. Please try again."
_HELD_BACK = "The video could not be generated because it violates Google's usage policies."


class Interaction:
    """`polls` is how often it is looked at before it is done; None: it is done as soon as it is answered."""

    def __init__(
        self,
        interaction_id: str,
        asked: CreateInteraction,
        contents: list[gemini.Content],
        style: Style,
        answer: Answer,
        faults: Faults,
        *,
        polls: int | None,
    ) -> None:
        self.id = interaction_id
        self.asked = asked
        self.answer = answer
        self.status = "queued"
        self._contents = contents
        self._style = style
        self._faults = faults
        self._polls = polls
        self._looks = 0
        self._errors: list[dict[str, Any]] = []
        self._events: list[tuple[dict[str, Any], Step]] = []
        self.produced = Step([])
        """All that was made; the parts do not matter."""
        if polls is None:
            self.finish()

    @property
    def is_open(self) -> bool:
        return self.status in _OPEN

    def look(self) -> bool:
        """Somebody asks how it is going, which makes it go on. Whether it got done by that."""
        if not self.is_open:
            return False
        if self._looks >= (self._polls or 0):
            self.finish()
            return True
        self._looks += 1
        self.status = "in_progress"
        return False

    def cancel(self) -> None:
        self.status = "cancelled"

    def finish(self) -> None:
        choice = self.answer.choices[0]
        if self._faults.fail is not None:
            self._end("failed", self._faults.fail.lower(), _FAILURE)
            return
        if isinstance(self._style.makes, Film) and self._faults.refusal:
            self._end("failed", "content_filtered", _HELD_BACK)
            return
        steps, reason = steps_of(self._style, self.answer, self._faults)
        self._events = Narrator(self.answer.digest).tell(steps)
        self.produced = steps[-1]
        self.status = "completed"
        if choice.calls:
            self.status = "requires_action"
        if (choice.finish == "length" and self._style.makes is None) or reason == "MAX_TOKENS":
            self.status = "incomplete"

    @property
    def turns(self) -> list[gemini.Content]:
        """The conversation, with the answer."""
        whole = msgspec.structs.replace(self._faults, chunks=1)
        parts = [part for step in steps_of(self._style, self.answer, whole)[0] for part in step.parts]
        kept = [part for part in parts if not part.get("thought") and part.get("text") != ""]
        return [*self._contents, msgspec.convert({"role": "model", "parts": kept}, gemini.Content)]

    def shown(self, *, with_input: bool = False) -> dict[str, Any]:
        """The resource."""
        shown = self._head()
        if with_input:
            shown["input"] = msgspec.to_builtins(self.asked.input)
        if self.is_open or self.status == "cancelled":
            return shown
        whole = msgspec.structs.replace(self._faults, chunks=1)
        told = Narrator(self.answer.digest).tell(steps_of(self._style, self.answer, whole)[0]) if self._events else []
        steps = finished_steps(event for event, _ in told)
        contents = [each for step in steps if step["type"] == "model_output" for each in step["content"]]
        shown["steps"] = steps
        for each in contents:
            if each["type"] != "text":
                shown[f"output_{each['type']}"] = each
        shown["output_text"] = "".join(each["text"] for each in contents if each["type"] == "text")
        if self._errors:
            shown["errors"] = self._errors
        if not self._faults.no_usage:
            shown["usage"] = self.usage(self.produced)
        return shown

    def stream(self) -> list[Frame]:
        """Every event, the end mark last."""
        start = Step([])
        head = self._head() | {"status": "in_progress"}
        told: list[tuple[dict[str, Any], Step]] = [
            ({"event_type": "interaction.created", "interaction": head}, start),
            ({"event_type": "interaction.status_update", "interaction_id": self.id, "status": "in_progress"}, start),
            *self._events,
        ]
        end = self.produced
        told += [({"event_type": "error", "error": error}, end) for error in self._errors]
        if not self._faults.no_done:
            final = self._head()
            if not self._faults.no_usage:
                final["usage"] = self.usage(end)
            told.append(({"event_type": "interaction.completed", "interaction": final}, end))
        frames = []
        for at, (event, step) in enumerate(told):
            data = _ENCODE(event | {"event_id": f"{self.id}_{at}"})
            line = b"event: " + event["event_type"].encode() + b"\ndata: " + data + b"\n\n"
            frames.append(Frame(line, step.output_tokens, step.reasoning_tokens))
        if not self._faults.no_done:
            frames.append(Frame(b"event: done\ndata: [DONE]\n\n", end.output_tokens, end.reasoning_tokens))
        return frames

    def usage(self, step: Step) -> dict[str, Any]:
        """Thoughts apart from the output, cached tokens inside the input."""
        usage, makes = self.answer.usage, self._style.makes
        made = "video" if isinstance(makes, Film) else "audio" if isinstance(makes, Speech) else "image"
        output = token_details(step.output_tokens, {made: step.media_tokens})
        return {
            "total_input_tokens": usage.input_total,
            "input_tokens_by_modality": _by_modality(token_details(usage.input_total, self._style.modalities)),
            "total_cached_tokens": usage.cached,
            "total_output_tokens": step.output_tokens,
            "output_tokens_by_modality": _by_modality(output),
            "total_thought_tokens": step.reasoning_tokens,
            "total_tool_use_tokens": 0,
            "total_tokens": usage.input_total + step.output_tokens + step.reasoning_tokens,
        }

    def _end(self, status: str, code: str, message: str) -> None:
        self.status = status
        self._errors = [{"code": code, "message": message}]

    def _head(self) -> dict[str, Any]:
        created = datetime.fromtimestamp(self.answer.created, UTC).isoformat().replace("+00:00", "Z")
        head: dict[str, Any] = {
            "id": self.id,
            "object": "interaction",
            "model": self._style.model,
            "status": self.status,
            "created": created,
            "updated": created,
            "service_tier": self.asked.service_tier,
        }
        if self.asked.previous_interaction_id is not None:
            head["previous_interaction_id"] = self.asked.previous_interaction_id
        return head


def _by_modality(details: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"modality": each["modality"].lower(), "tokens": each["tokenCount"]} for each in details if each["tokenCount"]
    ]
