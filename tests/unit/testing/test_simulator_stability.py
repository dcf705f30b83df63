"""Stability's face of the simulator: forms in, pictures out."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from pulse_gateway.testing.simulator import Simulator
from pulse_gateway.testing.simulator.media import image_size, image_type
from pulse_gateway.testing.simulator.samples import picture

PICTURE = picture("image/png", 256, 128, (1, 2, 3))
IMAGE = {"image": ("a.png", PICTURE, "image/png")}
ERASE = "edit/erase"


class Stability:
    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def __call__(
        self, operation: str, data: Any = None, files: Any = None, accept: str = "image/*", **headers: str
    ) -> httpx.Response:
        """A form, also without files."""
        files = dict(files or {"none": b""})
        headers = {
            "authorization": "Bearer sk-a",
            "accept": accept,
            **{n.replace("_", "-"): v for n, v in headers.items()},
        }
        path = f"/v2beta/stable-image/{operation}"
        return await self.client.post(path, data=data or {}, files=files, headers=headers)

    async def get(self, path: str, accept: str = "*/*", key: str = "sk-a") -> httpx.Response:
        return await self.client.get(path, headers={"authorization": f"Bearer {key}", "accept": accept})


@pytest.fixture
async def stability(simulator: Simulator) -> Any:
    async with httpx.AsyncClient(base_url=simulator.url, verify=False) as client:
        yield Stability(client)


@pytest.mark.parametrize(
    ("operation", "data", "size", "kind"),
    [
        ("generate/core", {"aspect_ratio": "16:9"}, (2016, 1152), "image/png"),
        ("generate/ultra", {"output_format": "webp"}, (1024, 1024), "image/webp"),
        ("generate/sd3", {"model": "sd3.5-medium", "output_format": "jpeg"}, (1024, 1024), "image/jpeg"),
    ],
)
async def test_a_prompt_becomes_one_picture(
    stability: Stability, simulator: Simulator, operation: str, data: dict[str, str], size: Any, kind: str
) -> None:
    reply = await stability(operation, {"prompt": "a cat", "seed": "7", **data})
    assert reply.status_code == 200, reply.text
    assert (image_type(reply.content), image_size(reply.content)) == (kind, size)
    assert (reply.headers["content-type"], reply.headers["seed"], reply.headers["finish-reason"]) == (
        kind,
        "7",
        "SUCCESS",
    )
    again = await stability(operation, {"prompt": "a cat", "seed": "7", **data}, accept="application/json")
    assert again.json() == {"image": base64.b64encode(reply.content).decode(), "finish_reason": "SUCCESS", "seed": 7}
    record = simulator.stats().requests[0]
    assert (record.provider, record.operation, record.units) == ("stability", operation, {"images": 1})


@pytest.mark.parametrize(
    ("operation", "data", "files", "size"),
    [
        ("generate/ultra", {"prompt": "p", "strength": "0.5"}, IMAGE, (256, 128)),
        ("generate/sd3", {"prompt": "p", "mode": "image-to-image", "strength": "1"}, IMAGE, (256, 128)),
        (ERASE, {"grow_mask": "5"}, {**IMAGE, "mask": ("m.png", PICTURE)}, (256, 128)),
        ("edit/inpaint", {"prompt": "p"}, IMAGE, (256, 128)),
        ("edit/outpaint", {"left": "10", "down": "2"}, IMAGE, (266, 130)),
        ("edit/search-and-replace", {"prompt": "p", "search_prompt": "s"}, IMAGE, (256, 128)),
        ("edit/search-and-recolor", {"prompt": "p", "select_prompt": "s"}, IMAGE, (256, 128)),
        ("edit/remove-background", {}, IMAGE, (256, 128)),
        ("upscale/fast", {}, IMAGE, (1024, 512)),
        ("upscale/conservative", {"prompt": "p", "creativity": "0.2"}, IMAGE, (2828, 1414)),
        ("control/sketch", {"prompt": "p"}, IMAGE, (256, 128)),
        ("control/style", {"prompt": "p", "aspect_ratio": "9:21"}, IMAGE, (640, 1536)),
    ],
)
async def test_a_picture_becomes_another_one(
    stability: Stability, operation: str, data: Any, files: Any, size: Any
) -> None:
    reply = await stability(operation, data, files)
    assert reply.status_code == 200, reply.text
    assert image_size(reply.content) == size


@pytest.mark.parametrize(
    ("operation", "data", "files", "error"),
    [
        ("generate/core", {}, None, "prompt: cannot be blank"),
        ("generate/core", {"prompt": ""}, None, "prompt: must be between 1 and 10000 characters"),
        ("generate/core", {"prompt": "x" * 10_001}, None, "prompt: must be between 1 and 10000 characters"),
        ("generate/core", {"prompt": "p", "n": "2"}, None, "n: is not a field of this endpoint"),
        (
            "generate/core",
            {"prompt": "p", "seed": "4294967295"},
            None,
            "seed: must be an integer between 0 and 4294967294",
        ),
        ("generate/core", {"prompt": "p", "aspect_ratio": "7:5"}, None, "aspect_ratio: must be one of 21:9"),
        ("generate/core", {"prompt": ["p", "q"]}, None, "prompt: sent more than once"),
        ("generate/core", {"prompt": "p"}, IMAGE, "image: is not a field of this endpoint"),
        ("generate/ultra", {"prompt": "p"}, IMAGE, "strength: is required when image is sent"),
        ("generate/ultra", {"prompt": "p", "strength": "1"}, None, "strength: is only for requests with an image"),
        ("generate/sd3", {"prompt": "p", "output_format": "webp"}, None, "output_format: must be one of png, jpeg"),
        ("generate/sd3", {"prompt": "p", "model": "sd2"}, None, "model: must be one of sd3.5-large"),
        ("generate/sd3", {"prompt": "p", "cfg_scale": "11"}, None, "cfg_scale: must be a number between 1 and 10"),
        ("generate/sd3", {"prompt": "p"}, IMAGE, "image: is only for image-to-image"),
        (
            "generate/sd3",
            {"prompt": "p", "mode": "image-to-image", "aspect_ratio": "1:1"},
            IMAGE,
            "strength: is required",
        ),
        ("edit/outpaint", {}, IMAGE, "at least one of left, right, up, down"),
        ("edit/remove-background", {"output_format": "jpeg"}, IMAGE, "output_format: must be one of png, webp"),
        (ERASE, {}, {"image": ("a.gif", b"GIF89a")}, "image: supported file formats are jpeg, png and webp"),
        (ERASE, {}, {"image": ("a.png", PICTURE, "image/jpeg")}, "image: is said to be image/jpeg but is image/png"),
        (ERASE, {"image": "x"}, None, "image: must be a file"),
        (
            ERASE,
            {},
            {"image": ("a.png", picture("image/png", 63, 99, (0, 0, 0)))},
            "image: every side must be between 64",
        ),
        ("upscale/fast", {}, {"image": ("a.webp", picture("image/webp", 1537, 64, (0, 0, 0)))}, "image: every side"),
    ],
)
async def test_what_is_wrong_is_named(stability: Stability, operation: str, data: Any, files: Any, error: str) -> None:
    reply = await stability(operation, data, files)
    assert (reply.status_code, reply.json()["name"]) == (400, "bad_request")
    assert any(said.startswith(error) for said in reply.json()["errors"]), reply.json()
    assert reply.json()["id"]


async def test_a_form_and_one_of_two_answers_are_asked_for(stability: Stability) -> None:
    headers = {"authorization": "Bearer sk-a"}
    path = "/v2beta/stable-image/generate/core"
    assert "content-type" in (await stability.client.post(path, json={"prompt": "p"}, headers=headers)).text
    assert (await stability("generate/core", {"prompt": "p"}, accept="image/png")).status_code == 400
    assert (await stability("generate/none", {"prompt": "p"})).status_code == 404
    assert (await stability("generate/core", {"prompt": "p"}, authorization="Bearer wrong")).status_code == 401
    assert (await stability("generate/core", {"prompt": "p"}, authorization="")).json()["name"] == "unauthorized"
    assert (await stability.get(path)).status_code == 405
    assert (await stability("generate/core", {"prompt": "p"}, {"none": bytes(11 << 20)})).status_code == 413
    assert (await stability.get("/v1/user/balance")).json() == {"credits": 1000.0}


async def test_what_was_filtered_is_a_good_answer_with_a_grey_picture(
    stability: Stability, simulator: Simulator
) -> None:
    reply = await stability("generate/core+refusal", {"prompt": "p"})
    assert (reply.status_code, reply.headers["finish-reason"]) == (200, "CONTENT_FILTERED")
    assert reply.content == picture("image/png", 1536, 1536, (128, 128, 128))
    assert simulator.stats().requests[0].units == {"images": 1}
    blocked = await stability("generate/sd3", {"prompt": "p", "model": "sd3.5-large+blocked"})
    assert (blocked.status_code, blocked.json()["name"]) == (403, "content_moderation")


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (402, "payment_required"),
        (403, "content_moderation"),
        (422, "unprocessable_entity"),
        (429, "rate_limit_exceeded"),
        (500, "internal_error"),
    ],
)
async def test_errors_come_on_demand(stability: Stability, simulator: Simulator, status: int, name: str) -> None:
    reply = await stability("generate/core", {"prompt": "p"}, x_simulate=f"status={status}")
    assert (reply.status_code, reply.json()["name"]) == (status, name)
    record = simulator.stats().requests[0]
    assert (record.outcome, record.units) == ("refused", {})


@pytest.mark.parametrize(
    ("operation", "data", "files"),
    [
        ("upscale/creative", {"prompt": "p"}, IMAGE),
        ("edit/replace-background-and-relight", {"background_prompt": "p"}, {"subject_image": ("a.png", PICTURE)}),
    ],
)
async def test_what_takes_a_while_is_asked_for_until_it_is_there(
    stability: Stability, simulator: Simulator, operation: str, data: Any, files: Any
) -> None:
    started = (await stability(operation, data, files)).json()
    path = f"/v2beta/results/{started['id']}"
    for _ in range(2):
        pending = await stability.get(path)
        assert (pending.status_code, pending.json()) == (202, {"id": started["id"], "status": "in-progress"})
    assert simulator.stats().requests[0].units == {}
    assert (await stability.get(path, key="sk-b")).status_code == 404
    done = await stability.get(path, accept="image/*")
    assert (done.status_code, image_type(done.content), done.headers["finish-reason"]) == (200, "image/png", "SUCCESS")
    assert (await stability.get(path, accept="application/json")).json()["finish_reason"] == "SUCCESS"
    assert [record.units for record in simulator.stats().requests if record.units] == [{"images": 1}]


async def test_one_look_at_a_job_can_fail(stability: Stability) -> None:
    started = await stability("upscale/creative+at=poll,status=500,first=1,polls=0", {"prompt": "p"}, IMAGE)
    path = f"/v2beta/stable-image/upscale/creative/result/{started.json()['id']}"
    assert [(await stability.get(path)).status_code for _ in range(2)] == [500, 200]
