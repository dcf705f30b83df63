"""The SDKs of Replicate, AWS and Anthropic, pointed straight at the simulator, and forms sent to Stability, which has none."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import anthropic
import boto3
import httpx
import pytest
import replicate
import replicate.exceptions
from botocore.client import Config
from botocore.exceptions import ClientError, EventStreamError
from pulse_process import Simulation

FLUX = "black-forest-labs/flux-schnell"
LLAMA = "meta/meta-llama-3-70b-instruct"
CLAUDE = "us.anthropic.claude-opus-4-6-v1"
USER: Any = {"role": "user", "content": [{"text": "hello"}]}


# ── Replicate ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def client(simulation: Simulation) -> Iterator[replicate.Client]:
    made = replicate.Client(api_token="r8_test", base_url=simulation.url)
    made.poll_interval = 0
    yield made
    made._client.close()


def test_running_waits_for_the_output(client: replicate.Client) -> None:
    [url] = client.run(FLUX, input={"prompt": "a cat"}, use_file_output=False)
    assert httpx.get(url, verify=False).content[:4] == b"RIFF"
    video = client.run("google/veo-3", input={"prompt": "a cat"}, use_file_output=False)
    assert httpx.get(video, verify=False).headers["content-type"] == "video/mp4"
    version = client.models.get("stability-ai/sdxl").latest_version
    assert version is not None
    assert len(client.run(f"stability-ai/sdxl:{version.id}", input={"num_outputs": 2}, use_file_output=False)) == 2


def test_a_prediction_is_followed_to_its_end(client: replicate.Client) -> None:
    prediction = client.models.predictions.create(FLUX, input={"prompt": "a cat"})
    assert prediction.status == "starting"
    prediction.reload()
    assert prediction.status == "processing"
    assert prediction.progress is not None
    assert 0 < prediction.progress.percentage < 1
    prediction.wait()
    assert prediction.status == "succeeded"
    assert prediction.metrics is not None
    assert prediction.metrics["predict_time"] > 0
    assert prediction.id in [each.id for each in client.predictions.list()]
    endless = client.deployments.predictions.create("acme/flux+polls=99", input={})
    endless.cancel()
    assert endless.status == "canceled"


def test_text_is_iterated_and_streamed(client: replicate.Client) -> None:
    whole = "".join(client.run(LLAMA, input={"prompt": "hello"}))
    assert "hello" in whole
    streamed = client.stream(LLAMA, input={"prompt": "hello"})
    assert "".join(str(event) for event in streamed) == whole
    version = client.models.get(LLAMA).latest_version
    assert version is not None
    created = client.predictions.create(version=version.id, input={"prompt": "hello"})
    assert "".join(created.output_iterator()) == whole


@pytest.mark.parametrize(
    ("model", "asked", "said"),
    [
        ("openai/gpt-5", {"prompt": "hello", "reasoning_effort": "low"}, "hello"),
        (
            "openai/gpt-4.1",
            {"messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "hello"}]},
            "[system:Be brief]",
        ),
        (
            "anthropic/claude-4-sonnet",
            {"prompt": "hello", "image": "data:image/png;base64,AAAA"},
            "[image:1 image/png 3 bytes]",
        ),
        ("google/gemini-2.5-flash", {"prompt": "hello", "system_instruction": "Be brief"}, "[system:Be brief]"),
        ("deepseek-ai/deepseek-r1", {"prompt": "hello"}, "<think>"),
    ],
)
def test_language_models_are_asked_in_their_own_words(
    client: replicate.Client, model: str, asked: dict[str, Any], said: str
) -> None:
    whole = "".join(client.run(model, input=asked))
    assert said in whole
    assert "".join(str(event) for event in client.stream(model, input=asked)) == whole


def test_json_is_written_to_a_schema_in_one_piece(client: replicate.Client) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    form = {"format": {"type": "json_schema", "name": "n", "schema": schema}}
    prediction = client.models.predictions.create(
        "openai/gpt-5-structured", input={"prompt": "hello", "json_schema": form}
    )
    assert "stream" not in (prediction.urls or {})
    prediction.wait()
    assert isinstance(prediction.output["json_output"]["city"], str)
    assert prediction.metrics is not None
    assert prediction.metrics["output_token_count"] > 0


def test_what_a_language_model_does_not_know_it_refuses(client: replicate.Client) -> None:
    for model, asked in (
        ("openai/gpt-5", {"prompt": "a", "temperature": 0.5}),
        ("openai/gpt-5", {"prompt": "a", "reasoning_effort": "xhigh"}),
        ("openai/gpt-4.1", {"messages": [{"role": "robot", "content": "a"}]}),
        ("openai/gpt-4.1", {"messages": ["a"]}),
        ("anthropic/claude-4-sonnet", {"prompt": "a", "max_tokens": 100}),
        ("openai/gpt-5-structured", {"prompt": "a", "json_schema": {"type": "object"}}),
    ):
        with pytest.raises(replicate.exceptions.ReplicateError) as raised:
            client.run(model, input=asked)
        assert raised.value.status == 422


def test_what_fails_is_raised(client: replicate.Client) -> None:
    with pytest.raises(replicate.exceptions.ModelError, match="flagged as sensitive"):
        client.run(f"{FLUX}+refusal", input={"prompt": "a cat"})
    with pytest.raises(replicate.exceptions.ReplicateError, match="prompt is required") as raised:
        client.run(FLUX, input={})
    assert (raised.value.status, raised.value.title) == (422, "Input validation failed")
    with pytest.raises(replicate.exceptions.ReplicateError, match="insufficient credit"):
        client.run(f"{FLUX}+status=402", input={"prompt": "a cat"})


def test_models_speak_listen_and_embed(client: replicate.Client) -> None:
    url = client.run("minimax/speech-02-turbo", input={"text": "Hello", "audio_format": "wav"}, use_file_output=False)
    sound = httpx.get(url, verify=False).content
    assert sound[:4] == b"RIFF"
    text = "".join(client.run("openai/gpt-4o-transcribe", input={"audio_file": io.BytesIO(sound)}))
    assert text.startswith("[audio:1 ")
    model = client.models.get("beautyyuyanli/multilingual-e5-large")
    assert model.latest_version is not None
    version = f"{model.owner}/{model.name}:{model.latest_version.id}"
    assert len(client.run(version, input={"texts": json.dumps(["cat", "dog"])})) == 2


def test_files_models_deployments_and_the_secret_are_there(client: replicate.Client) -> None:
    file = client.files.create(io.BytesIO(b"abc"), filename="a.txt", metadata={"a": 1})
    assert (file.size, file.metadata, client.files.get(file.id).name) == (3, {"a": 1}, "a.txt")
    assert client.files.delete(file.id)
    assert client.models.search("veo").results[0].name.startswith("veo")
    assert FLUX in [model.id for model in client.models.list()]
    assert client.deployments.get("acme/flux").current_release is not None
    assert client.webhooks.default.secret().key.startswith("whsec_")
    assert client.accounts.current().username == "simulated"


# ── Bedrock ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def bedrock_client(url: str, **keys: str) -> Any:
    settings = Config(retries={"max_attempts": 0}, proxies={})
    return boto3.client("bedrock-runtime", region_name="eu-west-1", endpoint_url=url, config=settings, **keys)


@pytest.fixture(scope="module")
def bedrock(simulation: Simulation) -> Iterator[Any]:
    made = bedrock_client(simulation.url, aws_access_key_id="AKIASIMULATOR", aws_secret_access_key="simulator-secret")
    yield made
    made.close()


CONVERSATION: Any = {
    "system": [{"text": "be brief"}],
    "messages": [
        USER,
        {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}}]},
        {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "content": [{"json": {"b": 2}}]}}, {"text": "so?"}]},
    ],
    "toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]},
    "inferenceConfig": {"maxTokens": 300, "stopSequences": ["§"]},
    "additionalModelRequestFields": {"thinking": {"type": "adaptive", "display": "summarized"}},
}  # fmt: skip


def test_a_conversation_is_answered_whole_and_streamed(bedrock: Any) -> None:
    reply = bedrock.converse(modelId=CLAUDE, **CONVERSATION)
    thought, said = reply["output"]["message"]["content"]
    assert thought["reasoningContent"]["reasoningText"]["signature"]
    assert '[system:be brief] [result:f {"b":2}]' in said["text"]
    events = list(bedrock.converse_stream(modelId=CLAUDE, **CONVERSATION)["stream"])
    assert list(events[0]) == ["messageStart"]
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    assert "".join(delta.get("text", "") for delta in deltas) == said["text"]
    assert events[-2]["messageStop"]["stopReason"] == reply["stopReason"] == "end_turn"
    assert events[-1]["metadata"]["usage"] == reply["usage"]
    again = {**CONVERSATION, "messages": [*CONVERSATION["messages"], reply["output"]["message"], USER]}
    assert bedrock.converse(modelId=CLAUDE, **again)["stopReason"] == "tool_use"


def test_tools_are_called_in_pieces(bedrock: Any) -> None:
    asked = {"messages": [USER], "toolConfig": {**CONVERSATION["toolConfig"], "toolChoice": {"any": {}}}}
    reply = bedrock.converse(modelId=CLAUDE, **asked)
    call = reply["output"]["message"]["content"][-1]["toolUse"]
    events = list(bedrock.converse_stream(modelId=CLAUDE, **asked)["stream"])
    [start] = [event["contentBlockStart"]["start"]["toolUse"] for event in events if "contentBlockStart" in event]
    assert start == {"toolUseId": call["toolUseId"], "name": "f"}
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    assert json.loads("".join(delta["toolUse"]["input"] for delta in deltas if "toolUse" in delta)) == call["input"]


def test_tokens_are_counted_and_models_have_their_own_bodies(bedrock: Any) -> None:
    counted = bedrock.count_tokens(modelId=CLAUDE, input={"converse": {"messages": [USER]}})["inputTokens"]
    assert counted == bedrock.converse(modelId=CLAUDE, messages=[USER])["usage"]["inputTokens"]
    asked = json.dumps({"inputText": "hello", "dimensions": 256})
    invoked = bedrock.invoke_model(modelId="amazon.titan-embed-text-v2:0", body=asked)
    assert len(json.loads(invoked["body"].read())["embedding"]) == 256


def test_exceptions_have_names_also_in_a_stream(bedrock: Any) -> None:
    with pytest.raises(bedrock.exceptions.ThrottlingException):
        bedrock.converse(modelId="sim+status=429", messages=[USER])
    with pytest.raises(bedrock.exceptions.ValidationException, match="must alternate"):
        bedrock.converse(modelId=CLAUDE, messages=[USER, USER])
    broken = bedrock.converse_stream(modelId="sim+error=2,code=ModelStreamErrorException", messages=[USER])["stream"]
    with closing(broken), pytest.raises(EventStreamError, match="modelStreamErrorException"):
        list(broken)


def test_only_known_signatures_and_keys_open(simulation: Simulation) -> None:
    bad = bedrock_client(simulation.url, aws_access_key_id="AKIASIMULATOR", aws_secret_access_key="other")
    with pytest.raises(ClientError, match="InvalidSignatureException"):
        bad.converse(modelId=CLAUDE, messages=[USER])
    bad.close()
    for key, status in (("a-key", 200), ("wrong", 403)):  # which the SDK sends over TLS alone
        headers = {"authorization": f"Bearer {key}"}
        url = f"{simulation.url}/model/{CLAUDE}/converse"
        assert httpx.post(url, json={"messages": [USER]}, headers=headers, verify=False).status_code == status


# ── Anthropic and Stability ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
def test_both_versions_and_both_key_headers_are_served(simulation: Simulation, version: str, header: str) -> None:
    key = {"x-api-key": "k", "authorization": anthropic.Omit()} if header == "x-api-key" else {}
    client = anthropic.Anthropic(
        base_url=simulation.url,
        api_key="k",
        max_retries=0,
        default_headers={"anthropic-version": version, **key},
        http_client=anthropic.DefaultHttpxClient(verify=False, trust_env=False),
    )
    with client:
        asked: Any = {"model": "claude-opus-4-6", "messages": [{"role": "user", "content": "hi"}]}
        count = client.messages.count_tokens(**asked).input_tokens
        search: Any = {"type": "web_search_20260318", "name": "web_search"}
        message = client.messages.create(**asked, max_tokens=300, tools=[search])
        assert message.usage.input_tokens == count
        assert [block.type for block in message.content] == ["server_tool_use", "web_search_tool_result", "text"]
        assert len(list(client.models.list(limit=1))) == 4
        if version == "2026-10-21":
            with pytest.raises(anthropic.BadRequestError, match="temperature: Extra inputs are not permitted"):
                client.messages.create(**asked, max_tokens=9, extra_body={"temperature": 1})
        else:
            assert client.messages.create(**asked, max_tokens=9, extra_body={"temperature": 1}).usage.output_tokens


def test_stability_takes_forms_and_gives_pictures(simulation: Simulation) -> None:
    headers = {"authorization": "Bearer sk-test", "accept": "image/*"}
    with httpx.Client(base_url=f"{simulation.url}/v2beta", headers=headers, verify=False, trust_env=False) as client:
        made = client.post("/stable-image/generate/core", files={"prompt": (None, "a cat")})
        assert (made.headers["content-type"], made.headers["finish-reason"]) == ("image/png", "SUCCESS")
        image = {"image": ("a.png", made.content, "image/png")}
        bigger = client.post("/stable-image/upscale/creative", files=image, data={"prompt": "a cat"})
        statuses = [client.get(f"/results/{bigger.json()['id']}").status_code for _ in range(3)]
        assert statuses == [202, 202, 200]
