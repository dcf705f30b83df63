"""Pictures of Fireworks: workflows that answer with one, Kontext's jobs, and the older image generation.

Source: https://docs.fireworks.ai/api-reference/generate-a-new-image-from-a-text-prompt, /generate-or-edit-image-using-flux-kontext,
/get-generated-image-from-flux-kontex and `image_api.py` of fireworks-ai 0.15.15 (read 2026-11-24)
"""

from __future__ import annotations

import base64
import re
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pulse_gateway.testing.simulator.dice import Dice, decode_base64, identifier
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.jobs import POLLS, spec_at, steering
from pulse_gateway.testing.simulator.media import data_url, image_type
from pulse_gateway.testing.simulator.openai.body import Strict, converted, json_body
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.samples import Colour, colour, picture
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.tokens import Tally
from pulse_gateway.testing.simulator.vendor import Frame, Request, Target

__all__ = ["Pictures"]

_ENCODE = msgspec.json.encode
_JSON = "application/json"
_RATIOS = ("1:1", "21:9", "16:9", "3:2", "5:4", "4:5", "2:3", "9:16", "9:21", "4:3", "3:4")
_EDGE = 1024
_SERVED = {
    "text_to_image": re.compile(r"flux-(?!kontext).+"),
    "kontext": re.compile(r"flux-kontext-(?:pro|max)"),
    "get_result": re.compile(r"flux-kontext-(?:pro|max)"),
    "image_generation": re.compile(
        r"(?:japanese-)?stable-diffusion-xl.*|playground-v2-(?:5-)?1024px-aesthetic|SSD-1B", re.IGNORECASE
    ),
}
_Edge = Annotated[int, Meta(ge=64, le=2048, multiple_of=8)]


class _Workflow(Strict):
    prompt: str
    aspect_ratio: Literal[_RATIOS] = "16:9"  # type: ignore[valid-type]
    guidance_scale: float | None = None
    num_inference_steps: Annotated[int, Meta(ge=1, le=100)] | None = None
    seed: int = 0


class _Kontext(Strict):
    prompt: str
    input_image: str | None = None
    seed: int | None = None
    aspect_ratio: str | None = None
    output_format: Literal["jpeg", "png"] = "png"
    webhook_url: str | None = None
    webhook_secret: str | None = None
    prompt_upsampling: bool = False
    safety_tolerance: Annotated[int, Meta(ge=0, le=6)] = 2


class _Generation(Strict):
    prompt: str
    negative_prompt: str | None = None
    cfg_scale: float | None = None
    height: _Edge | None = None
    width: _Edge | None = None
    sampler: str | None = None
    samples: Annotated[int, Meta(ge=1, le=4)] = 1
    steps: Annotated[int, Meta(ge=1, le=100)] | None = None
    seed: int = 0
    style_preset: str | None = None
    safety_check: bool = False


class _Look(Strict):
    id: str


class _Job(msgspec.Struct, kw_only=True):
    """`ending` is what `status` will be."""

    model: str
    spec: str
    address: str
    ending: str
    polls_left: int
    units: dict[str, int]


class Pictures:
    """Keeps Kontext's jobs, which go on as they are looked at."""

    operations = frozenset(_SERVED)

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._jobs: dict[str, _Job] = {}
        self._started = 0

    def work(self, request: Request, target: Target) -> Work:
        """Raises: Refusal."""
        model, spec = split_model(target.model)
        body, name = json_body(request, ""), model.rpartition("/")[2]
        if not _SERVED[target.operation].fullmatch(name):
            raise refuse(f"Workflow not found: {model}", code="NOT_FOUND", status=404)
        match target.operation:
            case "get_result":
                return self._look(converted(body, _Look))
            case "kontext":
                return self._begin(request, converted(body, _Kontext), target.model, spec)
            case "text_to_image":
                asked = converted(body, _Workflow)
                return self._picture(request, asked, target.model, spec, _size(asked.aspect_ratio))
            case _:
                wanted = converted(body, _Generation)
                size = (wanted.width or _EDGE, wanted.height or _EDGE)
                return self._picture(request, wanted, target.model, spec, size)

    def reset(self) -> None:
        self._jobs.clear()
        self._started = 0

    # ── at once ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _picture(
        self, request: Request, asked: _Workflow | _Generation, model: str, spec: str, size: tuple[int, int]
    ) -> Work:
        digest = self._digest(asked, model)
        count = asked.samples if isinstance(asked, _Generation) else 1
        filtered = steering(request, spec).refusal
        reason = "CONTENT_FILTERED" if filtered else "SUCCESS"
        seed = asked.seed or 1 + Dice(digest, "seed").below(4_294_967_293)
        accept = request.headers.get("accept", "image/png").partition(";")[0].strip().lower()
        kind = "image/png" if accept in {"*/*", "image/*"} else accept
        if kind not in {"image/png", "image/jpeg", _JSON}:
            raise refuse(f"Unsupported Accept: {accept}", status=406)
        if count > 1 and kind != _JSON:
            raise refuse("Only application/json is supported for several samples", param="samples")

        def paint(at: int) -> Colour:
            return (0, 0, 0) if filtered else colour(digest, str(at))

        def render(faults: Faults) -> list[Frame]:
            if kind != _JSON:
                return [Frame(picture(kind, *size, paint(0)))]
            files = [base64.b64encode(picture("image/png", *size, paint(at))).decode() for at in range(count)]
            if isinstance(asked, _Generation):
                each = [{"base64": file, "finishReason": reason, "seed": seed} for file in files]
                return [Frame(_ENCODE(each))]
            links = [f"data:image/png;base64,{file}" for file in files]
            answer = {"id": identifier("", digest), "base64": links, "finishReason": reason, "seed": seed}
            return [Frame(_ENCODE(answer))]

        return Work(
            model=model,
            content_type=kind,
            fault_spec=spec,
            headers=() if kind == _JSON else (("finish-reason", reason), ("seed", str(seed))),
            units={"images": count},
            render=render,
        )

    # ── jobs ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, request: Request, asked: _Kontext, model: str, spec: str) -> Work:
        width, height = _size(asked.aspect_ratio or "1:1")
        if asked.input_image is not None:
            _check_image(asked.input_image)
        steer = steering(request, spec)
        paint = bytes(colour(self._digest(asked, model))).hex()
        host = request.headers.get("host", "localhost")
        job = _Job(
            model=model,
            spec=spec,
            address=f"http://{host}/as/fireworks/pictures/{width}x{height}-{paint}.{asked.output_format}",
            ending="Request Moderated"
            if steer.refusal
            else "Content Moderated"
            if steer.blocked is not None
            else "Ready"
            if steer.fail is None
            else "Error",
            polls_left=POLLS if steer.polls is None else steer.polls,
            units={},
        )
        return Work(
            model=model,
            content_type=_JSON,
            fault_spec=spec_at("start", spec),
            units=job.units,
            render=partial(self._start, job),
        )

    def _start(self, job: _Job, faults: Faults) -> list[Frame]:
        self._started += 1
        job_id = identifier("", f"{self._seed} {self._started}".encode(), "fireworks job", 32)
        self._jobs[job_id] = job
        return [Frame(_ENCODE({"request_id": job_id}))]

    def _look(self, asked: _Look) -> Work:
        job = self._jobs.get(asked.id)
        if job is None:
            return _told("", "", asked.id, "Task not found", None)
        spec = spec_at("poll", job.spec)
        if job.polls_left > 0:
            job.polls_left -= 1
            return _told(job.model, spec, asked.id, "Pending", None)
        if job.ending in {"Ready", "Content Moderated"}:
            job.units["images"] = 1
        return _told(job.model, spec, asked.id, job.ending, {"sample": job.address} if job.ending == "Ready" else None)

    def _digest(self, asked: Any, model: str) -> bytes:
        if not asked.prompt:
            raise refuse("prompt must not be empty", param="prompt")
        tally = Tally(self._seed, "fireworks pictures", split_model(model)[0])
        tally.text(_ENCODE(asked).decode())
        return tally.digest


def _told(model: str, spec: str, job_id: str, status: str, result: Any) -> Work:
    progress = 1.0 if status == "Ready" else None
    data = _ENCODE({"id": job_id, "status": status, "result": result, "progress": progress, "details": None})
    return Work(model=model, content_type=_JSON, fault_spec=spec, render=lambda faults: [Frame(data)])


def _size(ratio: str) -> tuple[int, int]:
    """The longer side is always the same."""
    parts = ratio.split(":")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        raise refuse(f"Invalid aspect_ratio: {ratio}", param="aspect_ratio")
    wide, high = map(int, parts)
    if not 9 / 21 <= wide / high <= 21 / 9:
        raise refuse("aspect_ratio must be between 21:9 and 9:21", param="aspect_ratio")
    return _EDGE * wide // max(wide, high), _EDGE * high // max(wide, high)


def _check_image(sent: str) -> None:
    """An address, a data URL, or bare base64 of a picture."""
    if sent.startswith(("http://", "https://")):
        return
    inline = data_url(sent)
    data = decode_base64(sent if inline is None else inline[1])
    if data is None or image_type(data) is None:
        raise refuse("input_image is neither an image nor an address of one", param="input_image")
