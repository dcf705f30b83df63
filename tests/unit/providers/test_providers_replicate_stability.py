"""What is sent for images to Replicate and Stability, step by step, and what is made of their answers."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from media_steps import PNG, asked, billed, deployment, run, sent

from pulse_gateway.errors import (
    InvalidRequest,
    UpstreamError,
    UpstreamFailed,
    UpstreamModelNotFound,
    UpstreamProtocolError,
    UpstreamQuotaExhausted,
    UpstreamRateLimited,
    UpstreamRefusedContent,
    UpstreamUnauthorized,
)
from pulse_gateway.providers.offer import Billed, Download, OfferCall, OnAbandon, Pause
from pulse_gateway.providers.replicate import REPLICATE
from pulse_gateway.providers.stability import STABILITY
from pulse_gateway.types.http import Headers, HttpAnswer, HttpRequest, Payload, Timeouts, header
from pulse_gateway.types.images import ImageFile, ImageRequest
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.multipart import parse_form

REPLICATES, EDITS = REPLICATE.offer("images", deployment("o/n")), REPLICATE.offer("image_edits", deployment("o/n"))
DONE = {"id": "p1", "status": "succeeded", "output": ["https://x.replicate.delivery/a.png"]}


def test_a_prediction_is_waited_for_then_looked_at_and_can_be_stopped() -> None:
    running = {"id": "p1", "status": "processing"}
    reply, steps = run(
        REPLICATES, asked(), "o/n", running, running, DONE, PNG, kind="replicate", timeouts=Timeouts(first_byte_s=30)
    )
    create, abandon, *rest = steps
    assert create.url == "https://api.replicate.com/v1/models/o/n/predictions"
    assert header(create.headers, "prefer") == "wait=25"
    assert isinstance(abandon, OnAbandon)
    assert abandon.request.url == "https://api.replicate.com/v1/predictions/p1/cancel"
    assert [step.seconds for step in rest if isinstance(step, Pause)] == [0.5, 0.75]
    assert header(create.headers, "authorization") == "Bearer k"
    assert header(steps[-1].headers, "authorization") is None  # of a file that stands elsewhere
    assert (reply.images[0].content, reply.usage) == (PNG, Usage(images=1))


@pytest.mark.parametrize(
    ("model", "path", "version"),
    [
        ("a" * 64, "predictions", "a" * 64),
        ("o/n:" + "b" * 64, "predictions", "o/n:" + "b" * 64),
        ("deployments/o/n", "deployments/o/n/predictions", None),
    ],
)
def test_versions_and_deployments_have_addresses_of_their_own(model: str, path: str, version: str | None) -> None:
    _, steps = run(REPLICATES, asked(), model, DONE, PNG, kind="replicate")
    assert steps[0].url == f"https://api.replicate.com/v1/{path}"
    assert sent(steps)[0].get("version") == version


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("google/nano-banana", {"image_input": ["data:image/png;base64,", "https://a.example/b"]}),
        ("black-forest-labs/flux-kontext-pro", {"input_image": "data:image/png;base64,"}),
        ("o/n", {"image": "data:image/png;base64,"}),
    ],
)
def test_images_to_work_from_stand_where_a_family_of_models_wants_them(model: str, expected: dict[str, Any]) -> None:
    files = (ImageFile(data=PNG, media_type="image/png"), ImageFile(url="https://a.example/b"))
    wish = asked(images=files if "banana" in model else files[:1])
    _, steps = run(EDITS, wish, model, DONE, PNG, kind="replicate")
    given = sent(steps)[0]["input"]
    for name, links in expected.items():
        for found, wanted in (
            zip(given[name], links, strict=True) if isinstance(links, list) else [(given[name], links)]
        ):
            assert found.startswith(wanted)


def test_pixels_go_to_models_that_take_them_and_inputs_of_a_models_own_to_any() -> None:
    wish = asked(size="640x832", extra={"input": {"guidance_scale": 3}}, seed=1, output_format="jpeg")
    _, steps = run(REPLICATES, wish, "stability-ai/sdxl", DONE, PNG, kind="replicate")
    assert sent(steps)[0]["input"] == {
        "prompt": "a fox", "width": 640, "height": 832, "output_format": "jpg", "seed": 1, "guidance_scale": 3,
    }  # fmt: skip
    with pytest.raises(InvalidRequest):
        run(REPLICATES, asked(extra={"input": 1}), "o/n", kind="replicate")


@pytest.mark.parametrize(
    ("output", "step"),
    [
        ("https://api.replicate.com/v1/files/f", HttpRequest),
        ("https://elsewhere.example/a.png", Download),
        ("http://169.254.169.254/latest", Download),
        ("https://evilreplicate.delivery/a.png", Download),
    ],
)
def test_only_replicates_own_files_are_fetched_without_a_look_at_the_address(output: str, step: type[Any]) -> None:
    done = {**DONE, "output": {"images": [output]}}
    _, steps = run(REPLICATES, asked(), "o/n", done, PNG, kind="replicate")
    assert type(steps[-1]) is step
    signed = isinstance(steps[-1], HttpRequest) and header(steps[-1].headers, "authorization")
    assert bool(signed) is output.startswith("https://api.replicate.com/")


def test_all_images_that_a_prediction_made_are_given_as_all_are_billed() -> None:
    made = {
        "id": "p",
        "status": "succeeded",
        "output": [f"https://a.replicate.delivery/{each}.png" for each in range(12)],
    }
    wish = asked(extra={"input": {"num_outputs": 3}})
    reply, steps = run(REPLICATES, wish, "o/n", {**made, "output": made["output"][:3]}, PNG, PNG, PNG, kind="replicate")
    assert (len(reply.images), billed(steps)) == (3, [Usage(images=3)])
    reply, _ = run(REPLICATES, wish, "o/n", made, *[PNG] * 10, kind="replicate")  # but no end of them
    assert (len(reply.images), reply.usage) == (10, Usage(images=12))


@pytest.mark.parametrize(
    ("prediction", "error"),
    [
        ({"status": "failed", "error": "NSFW content detected"}, UpstreamRefusedContent),
        ({"status": "failed", "error": "CUDA out of memory"}, UpstreamError),
        ({"status": "canceled"}, UpstreamError),
        ({"status": "aborted"}, UpstreamError),
        ({"status": "succeeded", "output": {"text": "no"}}, UpstreamProtocolError),
        ({"status": "succeeded", "output": None}, UpstreamProtocolError),
    ],
)
def test_a_prediction_without_an_image_costs_none(prediction: dict[str, Any], error: type[UpstreamError]) -> None:
    call = OfferCall(deployment=deployment("o/n", "replicate"))
    steps = REPLICATES.steps(asked(), call)
    next(steps)
    assert isinstance(steps.send(HttpAnswer(201, (), json.dumps({"id": "p", **prediction}).encode())), OnAbandon)
    assert steps.send(None) == OnAbandon(None)  # it has ended
    assert steps.send(None) == Billed(Usage(images=0))
    with pytest.raises(error) as caught:
        steps.send(None)
    assert type(caught.value) is error


def test_an_output_that_is_its_own_address_needs_no_fetching() -> None:
    done = {**DONE, "output": f"data:image/png;base64,{base64.b64encode(PNG).decode()}"}
    reply, _ = run(REPLICATES, asked(), "o/n", done, kind="replicate")
    assert reply.images[0].content == PNG
    with pytest.raises(UpstreamProtocolError, match="no image"):
        run(REPLICATES, asked(), "o/n", DONE, b"<html>", kind="replicate")


# ── Stability ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def stability(model: str, request: ImageRequest, *answers: Any) -> tuple[Any, list[Any]]:
    operation = "image_edits" if request.images else "images"
    return run(STABILITY.offer(operation, deployment(model)), request, model, *answers, kind="stability")


def fields(step: HttpRequest) -> dict[str, str]:
    form = Payload(step.body, header(step.headers, "content-type") or "")
    return {part.name: "file" if part.is_file else part.text() for part in parse_form(form)}


@pytest.mark.parametrize(
    ("model", "wish", "path", "form"),
    [
        ("core", asked(size="1024x1024", style="anime"), "generate/core", {"aspect_ratio": "1:1", "style_preset": "anime"}),
        ("stable-image-ultra", asked(seed=2**33), "generate/ultra", {"seed": str(2**33 % (2**32 - 1))}),
        ("sd3.5-large-turbo", asked(negative_prompt="x"), "generate/sd3", {"model": "sd3.5-large-turbo", "negative_prompt": "x"}),
        ("ultra", asked(images=(ImageFile(data=PNG),), extra={"strength": "0.2"}), "generate/ultra", {"image": "file", "strength": "0.2"}),
        ("sd3.5-medium", asked(images=(ImageFile(data=PNG),)), "generate/sd3",
         {"model": "sd3.5-medium", "image": "file", "strength": "0.7", "mode": "image-to-image"}),
        ("inpaint", asked(images=(ImageFile(data=PNG),), mask=ImageFile(data=PNG)), "edit/inpaint", {"image": "file", "mask": "file"}),
    ],
)  # fmt: skip
def test_each_of_stabilitys_models_has_its_form(
    model: str, wish: ImageRequest, path: str, form: dict[str, str]
) -> None:
    reply, steps = stability(model, wish, PNG)
    request = next(step for step in steps if isinstance(step, HttpRequest))
    assert request.url == f"https://api.stability.ai/v2beta/stable-image/{path}"
    assert fields(request) == {"prompt": "a fox", **form}
    assert (header(request.headers, "accept"), header(request.headers, "authorization")) == ("image/*", "Bearer k")
    assert (reply.images[0].content, reply.usage) == (PNG, Usage(images=1))


def test_an_image_that_stabilitys_filter_blurred_is_none_and_those_before_it_are_billed() -> None:
    blurred = HttpAnswer(200, (("finish-reason", "CONTENT_FILTERED"), ("content-type", "image/png")), PNG)
    call = OfferCall(deployment=deployment("core", "stability"))
    offer = STABILITY.offer("images", call.deployment)
    assert offer is not None
    steps = offer.steps(asked(n=2), call)
    next(steps)
    assert steps.send(HttpAnswer(200, (), PNG)) == Billed(Usage(images=1))
    next(steps)
    assert steps.send(blurred) == Billed(Usage(images=1))
    with pytest.raises(UpstreamRefusedContent):
        next(steps)


@pytest.mark.parametrize(
    ("model", "wish", "name"),
    [
        ("core", asked(size="1000x999"), "size"),
        ("ultra", asked(images=(ImageFile(data=PNG),), mask=ImageFile(data=PNG)), "mask"),
        ("ultra", asked(images=(ImageFile(data=PNG),), size="1024x1024"), "size"),
        ("ultra", asked(extra={"strength": 0.2}), "strength"),
        ("inpaint", asked(images=(ImageFile(data=PNG),), extra={"strength": True}), "strength"),
    ],
)
def test_what_stability_lacks_is_refused_by_name(model: str, wish: ImageRequest, name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        stability(model, wish)
    assert caught.value.param == name


@pytest.mark.parametrize(
    ("model", "operation"), [("erase", "images"), ("core", "image_edits"), ("core", "speech"), ("inpaint", "images")]
)
def test_what_a_model_of_stabilitys_does_not_do_is_not_offered(model: str, operation: str) -> None:
    assert STABILITY.offer(operation, deployment(model)) is None


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "wait_s"),
    [
        (429, (), {"name": "rate_limit_exceeded", "errors": ["slow"]}, UpstreamRateLimited, 60.0),
        (429, (("retry-after", "2"),), {"name": "rate_limit_exceeded"}, UpstreamRateLimited, 2.0),
        (402, (), {"name": "payment_required", "errors": []}, UpstreamQuotaExhausted, None),
        (403, (), {"name": "content_moderation", "errors": ["flagged"]}, UpstreamRefusedContent, None),
        (403, (), {"name": "forbidden"}, UpstreamUnauthorized, None),
        (404, (), "<html>", UpstreamProtocolError, None),
        (500, (), "", UpstreamFailed, None),
        (400, (), {"name": 5, "errors": "x"}, UpstreamError, None),
    ],
)
def test_stabilitys_errors(
    status: int, headers: Headers, body: Any, kind: type[UpstreamError], wait_s: float | None
) -> None:
    error = STABILITY.error(status, headers, body.encode() if isinstance(body, str) else json.dumps(body).encode())
    assert isinstance(error, kind)
    assert error.retry_after_s == wait_s


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "wait_s"),
    [
        (429, (), {"detail": "Request was throttled. Expected available in 7 seconds."}, UpstreamRateLimited, 7.0),
        (402, (), {"title": "Insufficient credit", "detail": "d"}, UpstreamQuotaExhausted, None),
        (401, (), {"title": "Unauthenticated"}, UpstreamUnauthorized, None),
        (422, (), {"title": "Invalid version or not permitted", "detail": "d"}, UpstreamModelNotFound, None),
        (404, (), "<html>", UpstreamProtocolError, None),
        (502, (), "x", UpstreamFailed, None),
        (422, (), {"title": "t", "detail": ["x"]}, UpstreamError, None),
    ],
)
def test_replicates_errors(
    status: int, headers: Headers, body: Any, kind: type[UpstreamError], wait_s: float | None
) -> None:
    error = REPLICATE.error(status, headers, body.encode() if isinstance(body, str) else json.dumps(body).encode())
    assert isinstance(error, kind)
    assert error.retry_after_s == wait_s


@pytest.mark.parametrize("provider", [REPLICATE, STABILITY])
def test_a_probe_costs_nothing_and_carries_the_key(provider: Any) -> None:
    request = provider.probe("https://x.example", "k", (("x-own", "1"),))
    assert (request.method, dict(request.headers)) == ("GET", {"authorization": "Bearer k", "x-own": "1"})
    assert request.url in {"https://x.example/v1/account", "https://x.example/v1/user/balance"}
