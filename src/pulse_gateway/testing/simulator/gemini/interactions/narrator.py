"""From the parts of an answer to the events that tell of it, and from the events to the finished steps.

Source: https://ai.google.dev/api/interactions-api (read 2026-11-24) and type definitions of google-genai 3.4.0
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from pulse_gateway.testing.simulator.dice import identifier
from pulse_gateway.testing.simulator.gemini.media_rendering import Step

__all__ = ["Narrator", "finished_steps"]


class Narrator:
    """Tells of one answer, part by part; steps open and close as the parts change their kind."""

    def __init__(self, digest: bytes) -> None:
        self._digest = digest
        self._index = -1
        self._open: str | None = None

    def tell(self, steps: Iterable[Step]) -> list[tuple[dict[str, Any], Step]]:
        """The events, each with the step of the answer that it belongs to."""
        told: list[tuple[dict[str, Any], Step]] = []
        last = Step([])
        for step in steps:
            last = step
            for part in step.parts:
                told += [(event, step) for event in self._part(part)]
        return told + [(event, last) for event in self._stop()]

    def _part(self, part: dict[str, Any]) -> list[dict[str, Any]]:
        if "functionCall" in part:
            return self._call(part)
        content = _content(part)
        if part.get("thought"):
            return self._say("thought", {"type": "thought_summary", "content": content})
        if content == {"type": "text", "text": ""}:
            return []
        signed: list[dict[str, Any]] = []
        if content["type"] != "text" and "thoughtSignature" in part:
            signed = self._signature(part["thoughtSignature"])
        return signed + self._say("model_output", content)

    def _call(self, part: dict[str, Any]) -> list[dict[str, Any]]:
        call = part["functionCall"]
        events = self._signature(part["thoughtSignature"]) if "thoughtSignature" in part else []
        events += self._stop()
        call_id = call.get("id") or identifier("", self._digest, f"call {self._index}", 8)
        events += self._start({"type": "function_call", "id": call_id, "name": call["name"], "arguments": {}})
        arguments = msgspec.json.encode(call["args"]).decode()
        half = len(arguments) // 2
        for piece in (arguments[:half], arguments[half:]):
            events += self._say("function_call", {"type": "arguments_delta", "arguments": piece})
        return events + self._stop()

    def _signature(self, signature: str) -> list[dict[str, Any]]:
        return self._say("thought", {"type": "thought_signature", "signature": signature})

    def _say(self, kind: str, delta: dict[str, Any]) -> list[dict[str, Any]]:
        events = self._start({"type": kind}) if self._open != kind else []
        return [*events, {"event_type": "step.delta", "index": self._index, "delta": delta}]

    def _start(self, step: dict[str, Any]) -> list[dict[str, Any]]:
        events = self._stop()
        self._index += 1
        self._open = step["type"]
        return [*events, {"event_type": "step.start", "index": self._index, "step": step}]

    def _stop(self) -> list[dict[str, Any]]:
        if self._open is None:
            return []
        self._open = None
        return [{"event_type": "step.stop", "index": self._index}]


def finished_steps(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What has been told, as steps. Pieces of text and of arguments are joined."""
    steps: list[dict[str, Any]] = []
    arguments = ""
    for event in events:
        match event["event_type"]:
            case "step.start":
                steps.append(dict(event["step"]))
                arguments = ""
            case "step.delta":
                step, delta = steps[-1], event["delta"]
                match delta["type"]:
                    case "thought_signature":
                        step["signature"] = delta["signature"]
                    case "thought_summary":
                        _join(step.setdefault("summary", []), delta["content"])
                    case "arguments_delta":
                        arguments += delta["arguments"]
                    case _:
                        _join(step.setdefault("content", []), delta)
            case "step.stop" if arguments:
                steps[-1]["arguments"] = msgspec.json.decode(arguments)
    return steps


def _join(contents: list[dict[str, Any]], content: dict[str, Any]) -> None:
    if content["type"] == "text" and contents and contents[-1]["type"] == "text":
        contents[-1]["text"] += content["text"]
    else:
        contents.append(dict(content))


def _content(part: dict[str, Any]) -> dict[str, Any]:
    if "text" in part:
        return {"type": "text", "text": part["text"]}
    blob = part.get("inlineData") or part["fileData"]
    media_type = blob["mimeType"].partition(";")[0].lower()
    where = {"data": blob["data"]} if "data" in blob else {"uri": blob["fileUri"]}
    content = {"type": media_type.partition("/")[0], "mime_type": media_type, **where}
    return content | {"sample_rate": 24000, "channels": 1} if media_type == "audio/l16" else content
