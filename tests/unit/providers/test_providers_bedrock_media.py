"""What Bedrock is asked for images, videos and judgements, what it is not asked, and what odd answers of it mean."""

from __future__ import annotations

import json
import struct
import zlib
from base64 import b64decode, b64encode
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.client import Config
from media_steps import PNG, asked, billed, run, sent

from pulse_gateway.errors import (
    InvalidRequest,
    UnsupportedParameter,
    UpstreamError,
    UpstreamFailed,
    UpstreamModelNotFound,
    UpstreamOverloaded,
    UpstreamProtocolError,
    UpstreamRefusedContent,
    UpstreamRejected,
    UpstreamUnauthorized,
)
from pulse_gateway.providers.bedrock import BEDROCK
from pulse_gateway.providers.offer import Download, OfferCall
from pulse_gateway.providers.s3 import S3Read, bucket_of
from pulse_gateway.types.catalog import Deployment, Model
from pulse_gateway.types.chat import ImagePart, TextPart
from pulse_gateway.types.http import HttpAnswer, HttpRequest
from pulse_gateway.types.images import ImageFile
from pulse_gateway.types.moderations import ModerationRequest
from pulse_gateway.types.videos import VideoRequest, VideoState

CANVAS, TITAN = "amazon.nova-canvas-v1:0", "amazon.titan-image-generator-v2:0"
CORE, ULTRA, SD3 = "stability.stable-image-core-v1:1", "stability.stable-image-ultra-v1:1", "stability.sd3-5-large-v1:0"
INPAINT = "us.stability.stable-image-inpaint-v1:0"
REEL, RAY = "amazon.nova-reel-v1:1", "luma.ray-v2:0"
PICTURE = ImageFile(data=PNG)
WEBP = ImageFile(data=b"RIFF\0\0\0\0WEBPVP8 ", path="image[0]")
B64 = b64encode(PNG).decode()
PAIR = "AKIDEXAMPLEEXAMPLE01:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


def offer(operation: str, model: str) -> Any:
    made = Deployment(provider="bedrock", kind="bedrock", model=Model(provider="bedrock", name=model), base_url="")
    return BEDROCK.offer(operation, made)


def images(model: str, request: Any, *answers: Any) -> tuple[Any, list[Any]]:
    operation = "image_edits" if request.images else "images"
    return run(offer(operation, model), request, model, *answers, kind="bedrock")


def mask() -> bytes:
    """Two by two pixels, the first of which may change."""
    raw = b"\0" + bytes([9, 9, 9, 0, 9, 9, 9, 255]) + b"\0" + bytes([9, 9, 9, 255] * 2)
    parts = ((b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 6, 0, 0, 0)), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


def greys(encoded: str) -> bytes:
    data = b64decode(encoded)
    at = data.index(b"IDAT")
    return zlib.decompress(data[at + 4 : at + 4 + int.from_bytes(data[at - 4 : at])])


# ── images ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("model", "fields", "param"),
    [
        (CANVAS, {"size": "1000x1000"}, "size"),
        (CANVAS, {"size": "4096x1024", "aspect_ratio": "1:1"}, "aspect_ratio"),
        (CANVAS, {"size": "2048x304"}, "size"),
        (CANVAS, {"aspect_ratio": "7:5"}, "aspect_ratio"),
        (CANVAS, {"quality": "medium"}, "quality"),
        (CANVAS, {"style": "vivid"}, "style"),
        (CANVAS, {"output_format": "webp"}, "output_format"),
        (CANVAS, {"background": "transparent"}, "background"),
        (CANVAS, {"response_format": "url"}, "response_format"),
        (CANVAS, {"extra": {"mask_prompt": "sky"}}, "mask_prompt"),
        (CANVAS, {"images": (PICTURE,), "mask": PICTURE, "size": "1024x1024"}, "size"),
        (CANVAS, {"images": (PICTURE,) * 6}, "images"),
        (CANVAS, {"images": (PICTURE,) * 2, "mask": PICTURE}, "images"),
        (CANVAS, {"images": (PICTURE,), "style": "MAXIMALISM"}, "style"),
        (CANVAS, {"images": (PICTURE,), "mask": PICTURE, "extra": {"similarity_strength": 0.5}}, "similarity_strength"),
        (CANVAS, {"images": (WEBP,)}, "image[0]"),
        (TITAN, {"size": "1536x1024"}, "size"),
        (TITAN, {"style": "MAXIMALISM"}, "style"),
        (CORE, {"quality": "high"}, "quality"),
        (CORE, {"aspect_ratio": "4:3"}, "aspect_ratio"),
        (SD3, {"images": (PICTURE,), "mask": PICTURE}, "mask"),
        (SD3, {"images": (PICTURE,), "size": "1024x1024"}, "size"),
        (SD3, {"images": (PICTURE,) * 2}, "images"),
        (INPAINT, {"images": (PICTURE,), "extra": {"strength": 0.5}}, "strength"),
    ],
)
def test_what_a_model_cannot_draw_is_refused_by_name(model: str, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(UnsupportedParameter) as refused:
        images(model, asked(**fields))
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("model", "fields", "param"),
    [
        (CANVAS, {"images": (PICTURE,), "extra": {"similarity_strength": "0.1"}}, "similarity_strength"),
        (CANVAS, {"images": (PICTURE,), "extra": {"mask_prompt": ""}}, "mask_prompt"),
        (CANVAS, {"images": (PICTURE,), "mask": PICTURE, "extra": {"mask_prompt": "sky"}}, "mask_prompt"),
        (CANVAS, {"images": (PICTURE,), "mask": ImageFile(data=PNG, path="mask")}, "mask"),
        (SD3, {"images": (PICTURE,), "extra": {"strength": True}}, "strength"),
    ],
)
def test_what_says_nothing_a_model_could_follow_is_invalid(model: str, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as wrong:
        images(model, asked(**fields))
    assert (wrong.value.param, isinstance(wrong.value, UnsupportedParameter)) == (param, False)


def test_there_is_no_offer_where_a_model_does_not_do_that() -> None:
    assert offer("images", "anthropic.claude-opus-5-v1:0") is None
    assert offer("images", INPAINT) is offer("image_edits", CORE) is None
    assert offer("videos", CANVAS) is offer("moderation", CANVAS) is offer("speech", "amazon.nova-sonic-v1:0") is None
    profile = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-canvas-v1:0"
    assert offer("images", profile) is offer("images", CANVAS) is not None


def test_a_mask_says_in_black_or_in_white_what_may_change() -> None:
    masked = asked(images=(PICTURE,), mask=ImageFile(data=mask()))
    [body] = sent(images(CANVAS, masked, {"images": [B64]})[1])
    assert body["taskType"] == "INPAINTING"
    assert greys(body["inPaintingParams"]["maskImage"]) == b"\0\0\xff\0\xff\xff"
    [body] = sent(images(INPAINT, masked, {"images": [B64], "finish_reasons": [None]})[1])
    assert greys(body["mask"]) == b"\0\xff\0\0\0\0"
    assert set(body) == {"prompt", "image", "mask"}


def test_a_ratio_is_made_in_a_size_that_the_model_has() -> None:
    [body] = sent(images(CANVAS, asked(aspect_ratio="21:9"), {"images": [B64]})[1])
    assert body["imageGenerationConfig"] == {"numberOfImages": 1, "width": 1344, "height": 576}
    [body] = sent(images(TITAN, asked(aspect_ratio="3:2", quality="low"), {"images": [B64]})[1])
    assert body["imageGenerationConfig"] == {"numberOfImages": 1, "width": 1152, "height": 768, "quality": "standard"}
    with pytest.raises(UnsupportedParameter):
        images(CANVAS, asked(size="512x512", aspect_ratio="16:9"))


def test_pictures_are_fetched_where_only_their_address_is_known() -> None:
    request = asked(images=(ImageFile(url="https://a.example/fox.png", path="image"),))
    reply, steps = images(ULTRA, request, PNG, {"images": [B64], "finish_reasons": [None]})
    assert steps[0] == Download("https://a.example/fox.png", param="image")
    assert sent(steps) == [{"prompt": "a fox", "image": B64, "strength": 0.7}]
    assert reply.size == "1024x768"


def test_several_of_stabilitys_are_several_calls_with_seeds_of_their_own() -> None:
    answer = {"images": [B64], "finish_reasons": [None], "seeds": [1]}
    reply, steps = images(SD3, asked(n=2, seed=4_294_967_294, size="1024x1024"), answer, answer)
    assert [body["seed"] for body in sent(steps)] == [4_294_967_294, 0]
    assert [usage.images for usage in billed(steps)] == [1, 2]
    assert len(reply.images) == 2


@pytest.mark.parametrize(
    ("model", "answer", "kind"),
    [
        (CANVAS, {"images": [], "error": "blocked"}, UpstreamRefusedContent),
        (CANVAS, {"images": None}, UpstreamProtocolError),
        (CANVAS, {"images": ["%%%%"]}, UpstreamProtocolError),
        (CANVAS, {"images": [b64encode(b"<html>").decode()]}, UpstreamProtocolError),
        (CANVAS, {"images": [""]}, UpstreamProtocolError),
        (CANVAS, [], UpstreamProtocolError),
        (CORE, {"finish_reasons": ["Filter reason: output image"], "images": [B64]}, UpstreamRefusedContent),
        (CORE, {"finish_reasons": ["Inference error"]}, UpstreamFailed),
        (CORE, {"finish_reasons": [None], "images": []}, UpstreamProtocolError),
        (CORE, {"finish_reasons": [None], "images": ["AAAA"]}, UpstreamProtocolError),
        (CORE, {"images": ["\u0661" * 4]}, UpstreamProtocolError),
    ],
)
def test_an_odd_answer_is_no_picture(model: str, answer: Any, kind: type[UpstreamError]) -> None:
    with pytest.raises(kind):
        images(model, asked(), answer)


# ── videos ────────────────────────────────────────────────────────────────────────────────────────────────────────────

ARN = "arn:aws:bedrock:eu-west-1:123456789012:async-invoke/abc123def456"
ADDRESS = "https://bedrock-runtime.eu-west-1.amazonaws.com"


def video(**fields: Any) -> VideoRequest:
    return VideoRequest(**{"model": "alias", "prompt": "a fox", "seconds": 5, "size": "1280x720", **fields})


def call(model: str, bucket: str | None = "s3://ours/films", key: str | None = PAIR) -> OfferCall:
    known = Model(provider="aws", name=model)
    made = Deployment(provider="aws", kind="bedrock", model=known, base_url=ADDRESS, key=key, bucket=bucket)
    return OfferCall(deployment=made)


def answered(steps: Any, *answers: Any) -> tuple[Any, list[Any]]:
    seen, waiting, answer = [], list(answers), None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration as end:
            return end.value, seen
        seen.append(step)
        given = waiting.pop(0)
        answer = HttpAnswer(200, (), given if isinstance(given, bytes) else json.dumps(given).encode())


@pytest.mark.parametrize(
    ("model", "fields", "param"),
    [
        (RAY, {"seconds": 4}, "seconds"),
        (RAY, {"size": "1920x1080"}, "size"),
        (RAY, {"size": "1200x720"}, "size"),
        (RAY, {"extra": {"loop": True}}, "loop"),
        (REEL, {"seconds": 5}, "seconds"),
        (REEL, {"seconds": 126}, "seconds"),
        (REEL, {"seconds": 6, "size": "720x1280"}, "size"),
        (REEL, {"seconds": 12, "image": PICTURE}, "image"),
        ("amazon.nova-reel-v1:0", {"seconds": 12}, "seconds"),
    ],
)
def test_a_video_that_a_model_does_not_make_is_refused_by_name(model: str, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(UnsupportedParameter) as refused:
        offer("videos", model).check(video(**fields), call(model).deployment)
    assert refused.value.param == param


def test_without_a_bucket_the_refusal_names_the_key_that_is_missing() -> None:
    with pytest.raises(UnsupportedParameter, match=r"providers\.aws\.bucket") as refused:
        offer("videos", RAY).check(video(), call(RAY, bucket=None).deployment)
    assert refused.value.param == "model"


def test_a_video_may_begin_with_a_picture() -> None:
    films = "s3://ours/films?region=us-west-2"
    begun, [step] = answered(
        offer("videos", RAY).steps(video(size="540x960", image=PICTURE, seconds=9), call(RAY, films)),
        {"invocationArn": ARN},
    )
    body = json.loads(step.body)
    assert body["outputDataConfig"] == {"s3OutputDataConfig": {"s3Uri": "s3://ours/films"}}
    source = {"type": "base64", "media_type": "image/png", "data": B64}
    assert body["modelInput"] == {
        "prompt": "a fox",
        "aspect_ratio": "9:16",
        "duration": "9s",
        "resolution": "540p",
        "keyframes": {"frame0": {"type": "image", "source": source}},
    }
    assert (begun.usage.video_ms, begun.usage.variant) == (9000, "540p")
    _, [step] = answered(
        offer("videos", REEL).steps(video(seconds=6, image=PICTURE), call(REEL)), {"invocationArn": ARN}
    )
    shot = json.loads(step.body)["modelInput"]["textToVideoParams"]
    assert shot == {"text": "a fox", "images": [{"format": "png", "source": {"bytes": B64}}]}


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Invalid Output Config/Credentials", UpstreamUnauthorized),
        ("The bucket videos-of-ours is in another region", UpstreamUnauthorized),
        ("The prompt is too dull", UpstreamRejected),
    ],
)
def test_what_is_wrong_with_our_bucket_is_not_told_to_clients(words: str, kind: type[UpstreamError]) -> None:
    for meant in (UpstreamRejected, UpstreamModelNotFound):
        steps = offer("videos", RAY).steps(video(), call(RAY))
        next(steps)
        with pytest.raises(UpstreamError) as failed:
            steps.throw(meant(words))
        assert type(failed.value) is (meant if kind is UpstreamRejected else kind)
        assert ("bucket videos-of-ours" in failed.value.message) is False


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ({"status": "InProgress"}, "in_progress", None),
        ({"status": "Paused"}, "in_progress", None),
        ({"status": "Failed"}, "failed", "upstream_error"),
        ({"status": "Failed", "failureMessage": "conflicts with the AUP"}, "failed", "content_blocked"),
        ({"status": "Failed", "failureMessage": "no PutObject on s3://ours/films"}, "failed", "upstream_error"),
    ],
)
def test_what_amazon_says_of_a_job_is_what_a_client_is_told(
    said: dict[str, Any], status: str, code: str | None
) -> None:
    state, [step] = answered(offer("videos", RAY).look(ARN, call(RAY)), {"invocationArn": ARN, **said})
    assert (state.status, state.error_code, step.method) == (status, code, "GET")
    assert "ours" not in (state.error_message or "")


def test_a_job_that_is_done_without_a_place_is_no_answer() -> None:
    with pytest.raises(UpstreamProtocolError):
        answered(offer("videos", RAY).look(ARN, call(RAY)), {"invocationArn": ARN, "status": "Completed"})
    with pytest.raises(UpstreamProtocolError):
        answered(offer("videos", RAY).fetch(VideoState(id=ARN, status="completed", file="https://x"), call(RAY)))


# ── the bucket ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def nothing(request: HttpRequest) -> HttpAnswer:
    raise AssertionError("nothing is sent for a signature")


def from_aws(bucket: str, key: str) -> AWSPreparedRequest:
    """What AWS's own client would send."""
    kept: list[AWSPreparedRequest] = []

    class Sent(Exception):
        pass

    def keep(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        kept.append(request)
        raise Sent

    keys = {"aws_access_key_id": PAIR.partition(":")[0], "aws_secret_access_key": PAIR.partition(":")[2]}
    settings = Config(
        retries={"total_max_attempts": 1}, response_checksum_validation="when_required", s3={"addressing_style": "auto"}
    )
    client = boto3.client("s3", region_name="eu-west-1", config=settings, **keys)
    client.meta.events.register("before-send.s3", keep)
    with pytest.raises(Sent):
        client.get_object(Bucket=bucket, Key=key)
    client.close()
    return kept[0]


@pytest.mark.parametrize(
    ("bucket", "key"),
    [("ours", "films/abc/output.mp4"), ("our.films", "a/output.mp4"), ("ours", "with space+and~/é/output.mp4")],
)
async def test_a_file_is_asked_for_as_awss_own_client_would(bucket: str, key: str) -> None:
    theirs = from_aws(bucket, key)
    state = VideoState(id=ARN, status="completed", file=f"s3://{bucket}/{key}")
    request, _ = answered(offer("videos", RAY).fetch(state, call(RAY)))
    assert isinstance(request, S3Read)
    ours = await BEDROCK.authorize(request, call(RAY).deployment, nothing)
    assert (ours.method, urlsplit(ours.url)) == (theirs.method, urlsplit(theirs.url))
    scope, _, rest = dict(ours.headers)["authorization"].partition(", ")
    wanted = theirs.headers["Authorization"]
    assert scope == (wanted if isinstance(wanted, str) else wanted.decode()).partition(", ")[0]
    assert rest.startswith("SignedHeaders=host;x-amz-content-sha256;x-amz-date")


async def test_a_bedrock_key_opens_no_bucket_but_the_chain_does(monkeypatch: pytest.MonkeyPatch) -> None:
    request = bucket_of("s3://ours?endpoint=http://127.0.0.1:9&region=us-east-2", "eu-west-1").read("s3://ours/a.mp4")
    assert (request.url, request.region) == ("http://127.0.0.1:9/ours/a.mp4", "us-east-2")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAFROMENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    signed = await type(BEDROCK)().authorize(request, call(RAY, key="bedrock-api-key").deployment, nothing)
    assert "AKIAFROMENVIRONMENT/" in dict(signed.headers)["authorization"]
    assert "/us-east-2/s3/aws4_request" in dict(signed.headers)["authorization"]


def test_a_file_that_is_gone_is_told_from_an_address_that_leads_nowhere() -> None:
    assert type(BEDROCK.error(404, (("x-amz-request-id", "R"),), b"")) is UpstreamRejected
    assert type(BEDROCK.error(404, (), b"<html>")) is UpstreamProtocolError
    assert type(BEDROCK.error(403, (("x-amz-request-id", "R"),), b"")) is UpstreamUnauthorized


@pytest.mark.parametrize("status", [301, 307, 400, 403])
def test_a_bucket_that_cannot_be_read_is_no_fault_of_the_client(status: int) -> None:
    """S3 says 400 of a session that is over and of a signature for another region, and 301 of a bucket that is elsewhere."""
    xml = b"<Error><Code>ExpiredToken</Code><Message>bucket ours</Message></Error>"
    error = BEDROCK.error(status, (("x-amz-request-id", "R"),), xml)
    assert (type(error), "ours" in error.message) == (UpstreamUnauthorized, False)
    assert type(BEDROCK.error(503, (("x-amz-request-id", "R"),), xml)) is UpstreamOverloaded


# ── guardrails ────────────────────────────────────────────────────────────────────────────────────────────────────────

NOTHING_MET = {"action": "NONE", "assessments": [{}], "usage": {"topicPolicyUnits": 0, "contentPolicyUnits": 0}}


def judged(model: str, *items: Any, answers: Any = (NOTHING_MET,), **more: Any) -> tuple[Any, list[Any]]:
    request = ModerationRequest(model="alias", input=items, **more)
    return run(offer("moderation", model), request, model, *answers, kind="bedrock", bucket=None)


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("guardrail/gr4pulse:7", "/guardrail/gr4pulse/version/7/apply"),
        ("guardrail/gr4pulse", "/guardrail/gr4pulse/version/DRAFT/apply"),
        (
            "arn:aws:bedrock:eu-west-1:123456789012:guardrail/gr4pulse:DRAFT",
            "/guardrail/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Aguardrail%2Fgr4pulse/version/DRAFT/apply",
        ),
    ],
)
def test_a_model_names_a_guardrail_and_its_version(model: str, path: str) -> None:
    _, steps = judged(model, (TextPart("hello"),))
    assert next(step.url for step in steps if isinstance(step, HttpRequest)) == path


@pytest.mark.parametrize("model", ["guardrail/", "guardrail/gr4:0", "guardrail/GR4:1", "guardrail/a/b:1"])
def test_a_name_that_is_none_of_a_guardrail_is_refused(model: str) -> None:
    with pytest.raises(UnsupportedParameter) as refused:
        judged(model, (TextPart("hello"),))
    assert refused.value.param == "model"


def test_each_item_is_judged_for_itself_and_pictures_with_their_words() -> None:
    picture = ImagePart(url=f"data:image/png;base64,{B64}")
    hate = {"type": "HATE", "confidence": "LOW", "action": "NONE"}
    found = {
        "action": "NONE",
        "assessments": [{"contentPolicy": {"filters": [hate]}}],
        "usage": {"contentPolicyUnits": 3},
    }
    reply, steps = judged("guardrail/g1:1", (TextPart("a"), picture), (TextPart("b"),), answers=(found, NOTHING_MET))
    first, second = sent(steps)
    assert first["content"] == [{"text": {"text": "a"}}, {"image": {"format": "png", "source": {"bytes": B64}}}]
    assert second["content"] == [{"text": {"text": "b"}}]
    assert [result.flagged for result in reply.results] == [False, False]
    assert reply.results[0].scores == {"hate": 1 / 3}
    assert reply.results[0].input_types == {"hate": ("text", "image")}
    assert reply.usage.characters == 3000


def test_what_a_guardrail_steps_in_for_is_flagged_even_if_it_does_not_say_why() -> None:
    reply, _ = judged("guardrail/g1:1", (TextPart("a"),), answers=({"action": "GUARDRAIL_INTERVENED"},))
    assert (reply.results[0].flagged, reply.results[0].categories) == (True, {})


@pytest.mark.parametrize("url", ["data:image/png;base64,%%%", "data:image/gif;base64,R0lGODlh"])
def test_a_picture_that_is_none_is_the_clients_fault(url: str) -> None:
    with pytest.raises(InvalidRequest):
        judged("guardrail/g1:1", (ImagePart(url=url),))


def test_empty_texts_and_unknown_members_are_refused() -> None:
    for items, more in (((TextPart(""),), {}), ((TextPart("a"),), {"extra": {"policy": "strict"}})):
        with pytest.raises(UnsupportedParameter):
            judged("guardrail/g1:1", items, **more)
