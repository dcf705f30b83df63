"""AWS's SDK pointed straight at the simulator: images, edits, videos and the bucket they are put into, guardrails, the list of invocations."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any

import boto3
import httpx
import pytest
from botocore.client import Config
from botocore.exceptions import ClientError
from pulse_process import Simulation

from pulse_gateway.testing.simulator.samples import picture

PNG = b64encode(picture("image/png", 1024, 1024, (1, 2, 3))).decode()
KEYS = {"aws_access_key_id": "AKIASIMULATOR", "aws_secret_access_key": "simulator-secret", "region_name": "eu-west-1"}
BUCKET = {"s3OutputDataConfig": {"s3Uri": "s3://videos-of-ours/petra"}}


def client(service: str, url: str) -> Any:
    settings = Config(retries={"max_attempts": 0}, proxies={})
    return boto3.client(service, endpoint_url=url, config=settings, **KEYS)


@pytest.fixture(scope="module")
def bedrock(simulation: Simulation) -> Iterator[Any]:
    made = client("bedrock-runtime", simulation.url)
    yield made
    made.close()


def invoked(bedrock: Any, model: str, **body: Any) -> dict[str, Any]:
    answer = bedrock.invoke_model(modelId=model, body=json.dumps(body))
    read: dict[str, Any] = json.loads(answer["body"].read())
    return read


def test_each_maker_draws_in_its_own_words(bedrock: Any) -> None:
    settings = {"numberOfImages": 2, "width": 512, "height": 512, "quality": "premium", "seed": 7}
    asked: dict[str, Any] = {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "a fox"}}
    for model in ("amazon.nova-canvas-v1:0", "amazon.titan-image-generator-v2:0"):
        made = invoked(bedrock, model, **asked, imageGenerationConfig=settings)
        assert len({b64decode(image) for image in made["images"]}) == 2
    varied = {"images": [PNG], "similarityStrength": 0.5, "text": "blue"}
    assert invoked(bedrock, "amazon.nova-canvas-v1:0", taskType="IMAGE_VARIATION", imageVariationParams=varied)[
        "images"
    ]
    inside = {"image": PNG, "maskPrompt": "the sky", "text": "night"}
    assert invoked(bedrock, "amazon.nova-canvas-v1:0", taskType="INPAINTING", inPaintingParams=inside)["images"]
    drawn = invoked(bedrock, "stability.stable-image-core-v1:1", prompt="a fox", aspect_ratio="16:9", seed=3)
    assert (drawn["seeds"], drawn["finish_reasons"], b64decode(drawn["images"][0])[:4]) == ([3], [None], b"\x89PNG")
    edited = {"prompt": "a fox", "mode": "image-to-image", "image": PNG, "strength": 0.6, "output_format": "jpeg"}
    assert b64decode(invoked(bedrock, "stability.sd3-5-large-v1:0", **edited)["images"][0])[:2] == b"\xff\xd8"


def test_what_a_model_does_not_draw_is_refused(bedrock: Any) -> None:
    refused = [
        ("amazon.nova-canvas-v1:0", {"taskType": "TEXT_IMAGE"}, "parameters of TEXT_IMAGE"),
        ("amazon.nova-canvas-v1:0+blocked", {}, "blocked by our content filters"),
        ("stability.stable-image-core-v1:1", {"prompt": "a", "image": PNG, "strength": 0.5}, "image"),
        ("stability.sd3-5-large-v1:0", {"prompt": "a", "quality": "high"}, "quality"),
    ]
    for model, body, words in refused:
        with pytest.raises(bedrock.exceptions.ValidationException, match=words):
            invoked(bedrock, model, **body)
    filtered = invoked(bedrock, "stability.sd3-5-large-v1:0+refusal", prompt="a fox")
    assert filtered == {"finish_reasons": ["Filter reason: output image"]}


def test_a_video_is_begun_and_followed_and_read_from_its_bucket(bedrock: Any, simulation: Simulation) -> None:
    told: dict[str, Any] = {"prompt": "a fox", "aspect_ratio": "16:9", "duration": "5s", "resolution": "720p"}
    arn = bedrock.start_async_invoke(modelId="luma.ray-v2:0", modelInput=told, outputDataConfig=BUCKET)["invocationArn"]
    assert bedrock.list_async_invokes(maxResults=1)["asyncInvokeSummaries"][0]["invocationArn"] == arn
    states = [bedrock.get_async_invoke(invocationArn=arn) for _ in range(3)]
    assert [state["status"] for state in states] == ["InProgress", "InProgress", "Completed"]
    uri = states[-1]["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"]
    bucket, _, folder = uri.removeprefix("s3://").partition("/")
    assert (bucket, folder.partition("/")[0]) == ("videos-of-ours", "petra")
    storage = client("s3", simulation.url)
    video = storage.get_object(Bucket=bucket, Key=f"{folder}/output.mp4")
    assert video["Body"].read()[4:8] == b"ftyp"
    with pytest.raises(storage.exceptions.NoSuchKey):
        storage.get_object(Bucket=bucket, Key=f"{folder}/other.mp4")
    storage.close()


def test_a_video_that_fails_says_why(bedrock: Any) -> None:
    length = {"durationSeconds": 6, "fps": 24, "dimension": "1280x720"}
    shot: dict[str, Any] = {
        "taskType": "TEXT_VIDEO",
        "textToVideoParams": {"text": "a"},
        "videoGenerationConfig": length,
    }
    begin = bedrock.start_async_invoke
    arn = begin(modelId="amazon.nova-reel-v1:1+refusal,polls=0", modelInput=shot, outputDataConfig=BUCKET)[
        "invocationArn"
    ]
    failed = bedrock.get_async_invoke(invocationArn=arn)
    assert failed["status"] == "Failed"
    assert "content filters" in failed["failureMessage"]
    for changed in ({"durationSeconds": 7}, {"dimension": "1920x1080"}):
        with pytest.raises(bedrock.exceptions.ValidationException):
            wrong = {**shot, "videoGenerationConfig": {**length, **changed}}
            begin(modelId="amazon.nova-reel-v1:1", modelInput=wrong, outputDataConfig=BUCKET)


def test_a_guardrail_judges_by_all_of_its_policies(bedrock: Any) -> None:
    def applied(text: str, **more: Any) -> dict[str, Any]:
        content: Any = [{"text": {"text": text}}]
        answer: dict[str, Any] = bedrock.apply_guardrail(
            guardrailIdentifier="gr4pulse", guardrailVersion="1", source="INPUT", content=content, **more
        )
        return answer

    judged = applied("I will kill you, a@b.example", outputScope="FULL")
    [assessment] = judged["assessments"]
    found = {each["type"]: each["detected"] for each in assessment["contentPolicy"]["filters"]}
    assert judged["action"] == "GUARDRAIL_INTERVENED"
    assert (found["VIOLENCE"], found["SEXUAL"]) == (True, False)
    assert assessment["sensitiveInformationPolicy"]["piiEntities"][0]["type"] == "EMAIL"
    assert applied("Petra at sunset")["action"] == "NONE"


def test_only_who_may_reads_a_bucket_and_pages_of_proxies_name_no_exception(simulation: Simulation) -> None:
    stranger = boto3.client(
        "s3",
        endpoint_url=simulation.url,
        config=Config(retries={"max_attempts": 0}, proxies={}),
        **{**KEYS, "aws_secret_access_key": "other"},
    )
    with pytest.raises(ClientError, match="AccessDenied"):
        stranger.get_object(Bucket="videos-of-ours", Key="a")
    stranger.close()
    answer = httpx.post(
        f"{simulation.url}/model/sim+html/converse",
        json={"messages": [{"role": "user", "content": [{"text": "hi"}]}]},
        headers={"authorization": "Bearer k"},
        verify=False,
    )
    assert (answer.status_code, "x-amzn-errortype" in answer.headers) == (502, False)
