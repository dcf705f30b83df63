"""The Interactions API behind the server's `Surface` face, and the files that it makes.

Source: https://ai.google.dev/api/interactions-api, /gemini-api/docs/video and /gemini-api/docs/files (read 2026-11-24)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import msgspec

from pulse_gateway.testing.simulator.answer import Answer, compose
from pulse_gateway.testing.simulator.config import Config
from pulse_gateway.testing.simulator.dice import identifier
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.gemini import schema as gemini
from pulse_gateway.testing.simulator.gemini.errors import refuse
from pulse_gateway.testing.simulator.gemini.interactions.errors import (
    injected_error,
    malformed_interaction,
    refuse_interaction,
    worded,
)
from pulse_gateway.testing.simulator.gemini.interactions.jobs import Interaction
from pulse_gateway.testing.simulator.gemini.interactions.reading import (
    contents_of,
    formats_of,
    generate_request,
    kinds_of,
)
from pulse_gateway.testing.simulator.gemini.interactions.schema import CreateInteraction, VideoFormat
from pulse_gateway.testing.simulator.gemini.media_rendering import Film
from pulse_gateway.testing.simulator.gemini.models import traits_of
from pulse_gateway.testing.simulator.gemini.rendering import Style
from pulse_gateway.testing.simulator.gemini.vendor import JSON, Gemini
from pulse_gateway.testing.simulator.jobs import POLLS, START, spec_at, steering
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.vendor import Chat, Frame, Refusal, Request, Target

__all__ = ["TOKENS_PER_S", "Interactions"]

_ENCODE = msgspec.json.encode
_PATH = re.compile(r"/(v1|v1beta)/interactions(?:/([^/]+)(/cancel)?)?")
_FILE = re.compile(r"/(v1|v1beta)/files/([^/:]+)(:download)?")
_EVENTS = "text/event-stream"
TOKENS_PER_S = {"360p": 2_800, "720p": 5_600, "1080p": 8_400, "4k": 22_400}
"""Of video. Google does not say how many they are; these are made up."""
_LEAST_S, _MOST_S = 3.0, 10.0
_LONGEST_S = {"gemini-omni-1.2-flash": 15.0}


class Interactions(Gemini):
    def __init__(self, seed: int, config: Config) -> None:
        super().__init__(seed, config)
        self._answers = config.answers
        self._kept: dict[str, Interaction] = {}
        self._files: dict[str, bytes] = {}
        self._created = 0

    def route(self, request: Request) -> Target | None:
        file = _FILE.fullmatch(request.path)
        if file is not None and ("x-goog-api-key" in request.headers or file.group(1) == "v1beta" or file.group(3)):
            return Target(("download" if file.group(3) else "file") if request.method == "GET" else "wrong method")
        found = _PATH.fullmatch(request.path)
        if found is None:
            return None
        _, interaction_id, cancels = found.groups()
        if interaction_id is None:
            return Target("interactions" if request.method == "POST" else "wrong method")
        if cancels:
            return Target("cancel" if request.method == "POST" else "wrong method")
        return Target({"GET": "poll", "DELETE": "delete"}.get(request.method, "wrong method"))

    def work(self, request: Request, target: Target) -> Work | Chat:
        if target.operation in {"download", "file"}:
            return self._file(request)
        try:
            if target.operation == "interactions":
                return self._create(request)
            return self._existing(request, target.operation)
        except Refusal as refusal:
            raise worded(refusal) from refusal

    def reset(self) -> None:
        self._kept.clear()
        self._files.clear()

    # ── errors ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def invalid(self, message: str) -> Refusal:
        return refuse_interaction(message)

    def injected(self, faults: Faults) -> Refusal:
        return injected_error(faults)

    def envelope(self, refusal: Refusal, request_id: str, target: Target) -> bytes:
        return _ENCODE({"error": worded(refusal).error})

    def error_frame(self, refusal: Refusal, request_id: str, target: Target, *, is_first: bool) -> bytes:
        event = {"event_type": "error", "error": worded(refusal).error}
        return b"event: error\ndata: " + _ENCODE(event) + b"\n\n"

    def break_frame(self, frame: bytes) -> bytes:
        return frame[: len(frame) // 2].rstrip(b"\n") + (b"\n\n" if frame.startswith(b"event: ") else b"")

    # ── interactions ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _create(self, request: Request) -> Work | Chat:
        try:
            asked = msgspec.json.decode(request.body, type=CreateInteraction)
        except msgspec.ValidationError as error:
            raise malformed_interaction(error) from error
        except msgspec.DecodeError as error:
            raise refuse_interaction(f"The body is not JSON: {error}") from error
        name = asked.model
        if name is None:
            raise refuse_interaction(
                "Agents are not available." if asked.agent else "Missing required parameter 'model'."
            )
        model, spec = split_model(name)
        if traits_of(model).makes == "vector" or self.is_foreign(model):
            raise refuse_interaction(f"Model '{model}' is not found, or is not supported for interactions.", http=404)
        if asked.background and not asked.store:
            raise refuse_interaction("'background' requires 'store'.")
        if asked.background and asked.stream:
            raise refuse_interaction("'background' and 'stream' cannot be combined.")
        contents = contents_of(asked.input, self._before(asked))
        prompt, style = self.understand(generate_request(asked, contents), name, stream=asked.stream)
        self._created += 1
        interaction_id = identifier("v1_", prompt.digest, f"interaction {self._created}", 40)
        if traits_of(model).makes == "video":
            keep = partial(self._keep, request, interaction_id)
            style = style._replace(makes=_film(asked, model, contents, keep))
        elif "video" in kinds_of(asked):
            raise refuse_interaction(f"Model '{model}' does not make videos.")
        steer = steering(request, spec)
        if asked.background:
            answer = compose(prompt, steer, self._answers)
            polls = POLLS if steer.polls is None else steer.polls
            return Work(
                model=name,
                fault_spec=spec_at(START, spec),
                content_type=JSON,
                render=partial(self._queue, interaction_id, asked, contents, style, answer, steer, polls),
            )
        return Chat(
            model=name,
            fault_spec=spec_at(START, spec),
            prompt=prompt,
            stream=asked.stream,
            content_type=_EVENTS if asked.stream else JSON,
            render=partial(self._answer, interaction_id, asked, contents, style),
        )

    def _before(self, asked: CreateInteraction) -> list[gemini.Content]:
        if asked.previous_interaction_id is None:
            return []
        previous = self._find(asked.previous_interaction_id)
        if previous.status not in {"completed", "requires_action", "incomplete"}:
            raise refuse_interaction("The previous interaction is not completed.", code="failed_precondition")
        return previous.turns

    def _queue(
        self,
        interaction_id: str,
        asked: CreateInteraction,
        contents: list[gemini.Content],
        style: Style,
        answer: Answer,
        steer: Faults,
        polls: int,
        _: Faults,
    ) -> list[Frame]:
        interaction = Interaction(interaction_id, asked, contents, style, answer, steer, polls=polls)
        self._kept[interaction_id] = interaction
        return [Frame(_ENCODE(interaction.shown()))]

    def _answer(
        self,
        interaction_id: str,
        asked: CreateInteraction,
        contents: list[gemini.Content],
        style: Style,
        answer: Answer,
        faults: Faults,
    ) -> list[Frame]:
        interaction = Interaction(interaction_id, asked, contents, style, answer, faults, polls=None)
        if asked.store:
            self._kept[interaction_id] = interaction
        if asked.stream:
            return interaction.stream()
        made = interaction.produced
        return [Frame(_ENCODE(interaction.shown()), made.output_tokens, made.reasoning_tokens)]

    def _find(self, interaction_id: str) -> Interaction:
        interaction = self._kept.get(interaction_id)
        if interaction is None:
            raise refuse_interaction(f"Interaction '{interaction_id}' is not found.", http=404)
        return interaction

    def _existing(self, request: Request, operation: str) -> Work:
        interaction = self._find(request.path.removesuffix("/cancel").rpartition("/")[2])
        name = interaction.asked.model or ""
        _, spec = split_model(name)
        if operation == "delete":
            del self._kept[interaction.id]
            return Work(model=name, content_type=JSON, render=lambda _: [Frame(b"{}")])
        if operation == "cancel":
            if not interaction.is_open:
                raise refuse_interaction("Only an interaction in the background that is under way can be cancelled.", code="failed_precondition")  # fmt: skip
            interaction.cancel()
            return Work(model=name, content_type=JSON, render=lambda _: [Frame(_ENCODE(interaction.shown()))])
        streams = request.query.get("stream") == "true"
        done_now = self._look(interaction, streams=streams)
        owed = interaction.answer.usage if done_now else None

        def render(_: Faults) -> list[Frame]:
            if streams:
                return _after(interaction.stream(), request.query.get("last_event_id", ""), owed=owed is not None)
            shown = interaction.shown(with_input=request.query.get("include_input") == "true")
            made = interaction.produced if owed is not None else None
            return [Frame(_ENCODE(shown), made.output_tokens if made else 0, made.reasoning_tokens if made else 0)]

        return Work(
            model=name,
            fault_spec=spec_at("poll", spec),
            content_type=_EVENTS if streams else JSON,
            stream=streams,
            render=render,
            usage=owed,
        )

    def _look(self, interaction: Interaction, *, streams: bool) -> bool:
        """A stream waits until it is done."""
        if streams and interaction.is_open:
            interaction.finish()
            return True
        return interaction.look()

    # ── files ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _keep(self, request: Request, interaction_id: str, data: bytes) -> str:
        """The same address however often it is asked for."""
        file_id = identifier("", data, interaction_id, 12)
        self._files[file_id] = data
        host, version = request.headers.get("host", "localhost"), request.path.split("/")[1]
        return f"http://{host}/{version}/files/{file_id}:download?alt=media"

    def _file(self, request: Request) -> Work:
        found = _FILE.fullmatch(request.path)
        file_id = found.group(2) if found else ""
        data = self._files.get(file_id)
        if data is None:
            raise refuse(f"You do not have permission to access the File {file_id} or it may not exist.", http=403)
        if found is not None and found.group(3) is None:
            about = {
                "name": f"files/{file_id}",
                "mimeType": "video/mp4",
                "sizeBytes": str(len(data)),
                "state": "ACTIVE",
            }
            return Work(model="", content_type=JSON, render=lambda _: [Frame(_ENCODE(about))])
        if request.query.get("alt") != "media":
            raise refuse("A download needs alt=media.")
        return Work(model="", content_type="video/mp4", render=lambda _: [Frame(data)])


def _after(frames: list[Frame], event_id: str, *, owed: bool) -> list[Frame]:
    """The frames behind the event that was seen last. What was paid for before is not paid for again."""
    marked = b'"event_id":"' + event_id.encode() + b'"'
    start = next((at + 1 for at, frame in enumerate(frames) if event_id and marked in frame.data), 0)
    return frames[start:] if owed else [Frame(frame.data) for frame in frames[start:]]


def _film(asked: CreateInteraction, model: str, contents: list[gemini.Content], keep: Callable[[bytes], str]) -> Film:
    wanted = next((each for each in formats_of(asked) if isinstance(each, VideoFormat)), VideoFormat())
    duration_s, most_s = float(wanted.duration[:-1]), _LONGEST_S.get(model, _MOST_S)
    if not _LEAST_S <= duration_s <= most_s:
        raise refuse_interaction(f"'response_format.duration' must be between {_LEAST_S:g}s and {most_s:g}s.")
    kinds = {
        (blob.mime_type or "").partition("/")[0]
        for part in contents[-1].parts
        if (blob := part.inline_data or part.file_data) is not None
    }
    task = asked.generation_config.video_config.task
    if task in {"image_to_video", "reference_to_video"} and "image" not in kinds:
        raise refuse_interaction(f"The task '{task}' needs an image in 'input'.")
    if task in {"edit", "extend", "upscale"} and "video" not in kinds:
        raise refuse_interaction(f"The task '{task}' needs a video in 'input'.")
    if task == "text_to_video" and kinds:
        raise refuse_interaction("The task 'text_to_video' takes text only.")
    tokens = int(duration_s * TOKENS_PER_S[wanted.resolution])
    return Film(int(duration_s * 1000), tokens, keep if wanted.delivery == "uri" else None)
