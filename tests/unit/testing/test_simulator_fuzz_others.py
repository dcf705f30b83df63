"""Whatever is sent to the simulator's Bedrock, Replicate, Stability or count of tokens, a vendor's answer comes back."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_simulator_fuzz import ANTHROPIC, SCHEMA, VALUES, changed, places

from pulse_gateway.testing.simulator.application import Application
from pulse_gateway.testing.simulator.config import Config
from pulse_gateway.testing.simulator.samples import picture
from pulse_gateway.testing.simulator.vendor import Request

PNG = picture("image/png", 64, 64, (1, 2, 3))
CONVERSE: Any = {
    "system": [{"text": "s"}, {"cachePoint": {"type": "default"}}],
    "messages": [
        {"role": "user", "content": [
            {"text": "a"},
            {"image": {"format": "png", "source": {"bytes": base64.b64encode(PNG).decode()}}},
            {"document": {"name": "n", "format": "txt", "source": {"text": "d"}, "citations": {"enabled": True}}}]},
        {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1}}}]},
        {"role": "user", "content": [{"toolResult": {"toolUseId": "t", "status": "success", "content": [{"json": {"a": 1}}]}}]},
    ],
    "toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": SCHEMA}}}], "toolChoice": {"auto": {}}},
    "inferenceConfig": {"maxTokens": 9, "stopSequences": ["x"], "temperature": 1},
    "outputConfig": {"effort": "low", "textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{}"}}}},
    "additionalModelRequestFields": {"thinking": {"type": "adaptive"}, "tool_choice": {"type": "auto"}},
    "guardrailConfig": {"guardrailIdentifier": "a", "guardrailVersion": "1", "trace": "enabled"},
}  # fmt: skip
VEO: Any = {
    "input": {"prompt": "p", "duration": 4, "seed": 1, "image": "https://a/b.png", "reference_images": ["https://a"]},
    "webhook_events_filter": ["start"],
    "stream": False,
}
COUNTED = {name: value for name, value in ANTHROPIC.items() if name in {"model", "messages", "system", "tools"}}
VENDORS: dict[str, Any] = {
    "/model/anthropic.claude-opus-4-6-v1/converse": CONVERSE,
    "/model/sim-fast+split/converse-stream": CONVERSE,
    "/model/sim/count-tokens": {"input": {"converse": {"messages": CONVERSE["messages"][:1], "system": [{"text": "s"}]}}},
    "/model/cohere.embed-v4:0/invoke": {"texts": ["a"], "input_type": "clustering", "embedding_types": ["int8"], "output_dimension": 256},
    "/model/cohere.rerank-v3-5:0/invoke": {"query": "a", "documents": ["b"], "top_n": 1, "api_version": 2},
    "/model/amazon.nova-canvas-v1:0/invoke": {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "a"}, "imageGenerationConfig": {"width": 320, "height": 320, "seed": 1}},
    "/model/stability.sd3-5-large-v1:0/invoke": {"prompt": "a", "aspect_ratio": "1:1", "seed": 1, "output_format": "jpeg"},
    "/async-invoke": {"modelId": "luma.ray-v2:0", "modelInput": {"prompt": "p", "duration": "5s"}, "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://bucket/a"}}},
    "/guardrail/g1/version/1/apply": {"source": "INPUT", "content": [{"text": {"text": "a"}}], "outputScope": "FULL"},
    "/v1/models/google/veo-3/predictions": VEO,
    "/v1/predictions": {"version": "meta/meta-llama-3-70b-instruct", "input": {"prompt": "p", "max_tokens": 5, "stop_sequences": "a,b"}},
    "/v1/models/some/thing/predictions": {"input": {"num_outputs": 2, "width": 64, "height": 64, "output_format": "png"}},
    "/v1/deployments/some/video/predictions": {"input": {"duration": 5}},
    "/v1/messages/count_tokens": COUNTED,
}  # fmt: skip
UNCHECKED = {"/v1/models/some/thing/predictions", "/v1/deployments/some/video/predictions"}  # take any input
HEADERS = {
    "authorization": "Bearer r8_k",
    "anthropic-version": "2026-10-21",
    "content-type": "application/json",
    "prefer": "wait",
}


def _answer(path: str, body: bytes, headers: dict[str, str] = HEADERS) -> Any:
    return Application(0, Config()).answer(Request("POST", path, {}, headers, body, path))


@pytest.mark.parametrize("path", VENDORS)
def test_the_good_request_is_good(path: str) -> None:
    assert _answer(path, json.dumps(VENDORS[path]).encode()).status in {200, 201}


@pytest.mark.parametrize("path", VENDORS)
@settings(max_examples=25)
@given(data=st.data())
def test_any_change_of_a_good_request_is_answered(path: str, data: st.DataObject) -> None:
    body = VENDORS[path]
    for _ in range(data.draw(st.integers(1, 3))):
        if not places(body):
            break
        place = data.draw(st.sampled_from(places(body)))
        body = changed(body, place, data.draw(VALUES), data.draw(st.booleans()))
    delivery = _answer(path, json.dumps(body).encode())
    assert delivery.status in {200, 201, 400, 404, 422}
    assert delivery.frames
    if delivery.status >= 400:
        assert json.loads(delivery.frames[0].data)


@pytest.mark.parametrize("path", VENDORS)
def test_depth_is_refused_and_not_fatal(path: str) -> None:
    for nested in (b'{"a":%b}', b'{"input":%b}', b'{"additionalModelRequestFields":{"a":%b}}'):
        head, _, tail = nested.partition(b"%b")
        for depth in (900, 5_000):
            status = _answer(path, head * depth + b"1" + tail * depth).status
            assert status in {400, 422} or (depth == 900 and path in UNCHECKED)


@settings(max_examples=25)
@given(data=st.data())
def test_any_change_of_a_form_is_answered(data: st.DataObject) -> None:
    parts = {"prompt": b"p", "mode": b"image-to-image", "strength": b"0.5", "seed": b"1", "image": PNG}
    name = data.draw(st.sampled_from(sorted(parts)))
    parts[name] = data.draw(st.one_of(st.binary(max_size=40), st.just(PNG[: data.draw(st.integers(0, len(PNG)))])))
    form = b"".join(
        b'--x\r\ncontent-disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
        % (field.encode(), b'; filename="a"' if field == "image" else b"", value)
        for field, value in parts.items()
    )
    form = form + b"--x--\r\n"
    at = data.draw(st.integers(0, len(form)))
    form = form[:at] + data.draw(st.binary(max_size=3)) + form[at:]
    headers = {**HEADERS, "content-type": "multipart/form-data; boundary=x"}
    assert _answer("/v2beta/stable-image/generate/sd3", form, headers).status in {200, 400}
