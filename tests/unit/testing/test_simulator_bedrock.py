"""Bedrock's face of the simulator: what is taken, what is refused, and who is let in."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.eventstream import EventStreamBuffer

from pulse_gateway.testing.simulator import Config
from pulse_gateway.testing.simulator.application import Application
from pulse_gateway.testing.simulator.bedrock.surface import Bedrock
from pulse_gateway.testing.simulator.config import Aws
from pulse_gateway.testing.simulator.samples import picture
from pulse_gateway.testing.simulator.vendor import Refusal, Request

CLAUDE = "us.anthropic.claude-opus-4-6-v1"
NEW_CLAUDE = "anthropic.claude-opus-5-5-v1:0"
LLAMA = "meta.llama4-maverick-17b-instruct-v1:0"
USER: dict[str, Any] = {"role": "user", "content": [{"text": "hi"}]}
TOOL: dict[str, Any] = {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}
TOOLS: dict[str, Any] = {"toolConfig": {"tools": [TOOL]}}
USE: dict[str, Any] = {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}}
RESULT: dict[str, Any] = {"toolResult": {"toolUseId": "t1", "content": [{"text": "ok"}]}}
POINT: dict[str, Any] = {"cachePoint": {"type": "default"}}
PNG = base64.b64encode(picture("image/png", 8, 8, (0, 0, 0))).decode()
IMAGE: dict[str, Any] = {"image": {"format": "png", "source": {"bytes": PNG}}}


def document(name: str = "a b", **source: Any) -> dict[str, Any]:
    return {"document": {"name": name, "format": "txt", "source": source or {"text": "abc"}}}


def said(*blocks: Any, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": list(blocks)}


class Answered:
    def __init__(self, delivery: Any) -> None:
        self.status: int = delivery.status
        self.headers = dict(delivery.headers)
        self.frames = [frame.data for frame in delivery.frames]

    @property
    def json(self) -> Any:
        return json.loads(b"".join(self.frames))

    @property
    def events(self) -> list[tuple[str, Any]]:
        buffer = EventStreamBuffer()
        buffer.add_data(b"".join(self.frames))
        return [
            (event.headers.get(":event-type") or event.headers[":exception-type"], json.loads(event.payload))
            for event in buffer
        ]


@pytest.fixture
def application() -> Application:
    return Application(7, Config())


class Ask:
    def __init__(self, application: Application) -> None:
        self.application = application

    def __call__(self, model: str, body: Any, call: str = "converse", **headers: str) -> Answered:
        sent = {"authorization": "Bearer k", "content-type": "application/json", **headers}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        path = f"/model/{model}/{call}"
        return Answered(self.application.answer(Request("POST", path, {}, sent, data, quote(path))))


@pytest.fixture
def ask(application: Application) -> Ask:
    return Ask(application)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (CLAUDE, {"messages": []}, "The messages field is empty"),
    (CLAUDE, {"messages": [USER], "model": "x"}, "extraneous key [model] is not permitted"),
    (CLAUDE, {"messages": [{"role": "tool", "content": []}]}, "Value at 'messages.0.role'"),
    (CLAUDE, {"messages": [{"role": "user", "content": "hi"}]}, "Value at 'messages.0.content' is of the wrong type"),
    (CLAUDE, {"messages": [said()]}, "The content field in the Message object at messages.0 is empty"),
    (CLAUDE, {"messages": [said({"text": " "})]}, "The text field in the ContentBlock object at messages.0.content.0 is blank"),
    (CLAUDE, {"messages": [said({})]}, "messages.0.content.0: exactly one member must be set, 0 are"),
    (CLAUDE, {"messages": [said({"text": "a", **POINT})]}, "exactly one member must be set, 2 are"),
    (CLAUDE, {"messages": [said({"text": "a"}, role="assistant")]}, "must start with a user message"),
    (CLAUDE, {"messages": [USER, USER]}, "must alternate between user and assistant roles"),
    (CLAUDE, {"messages": [USER, said({"text": "a"}, role="assistant")]}, "does not support assistant message prefill"),
    (CLAUDE, {"messages": [USER, said({"text": "s"}, role="system")]}, "does not support system messages inside"),
    (CLAUDE, {"messages": [USER, said(USE, role="assistant"), said(RESULT)]}, "The toolConfig field must be defined"),
    (CLAUDE, {**TOOLS, "messages": [USER, said(USE, role="assistant"), USER]}, "Expected toolResult blocks at messages.2"),
    (CLAUDE, {**TOOLS, "messages": [USER, said(USE, role="assistant")]}, "Expected toolResult blocks after messages.1"),
    (CLAUDE, {**TOOLS, "messages": [said(RESULT)]}, "exceeds the number of toolUse blocks"),
    (CLAUDE, {**TOOLS, "messages": [USER, said(USE, role="assistant"), said({"text": "a"}, RESULT)]}, "must come before"),
    (LLAMA, {**TOOLS, "messages": [USER, said(USE, role="assistant"), said(RESULT, {"text": "a"})]}, "tool result blocks cannot"),
    (LLAMA, {**TOOLS, "messages": [USER, said({"text": "a"}, USE, role="assistant"), said(RESULT)]}, "tool use blocks cannot"),
    (CLAUDE, {**TOOLS, "messages": [USER, said({"toolUse": {**USE["toolUse"], "input": "{}"}}, role="assistant"), said(RESULT)]},
     "Provide a json object"),
    (CLAUDE, {**TOOLS, "messages": [USER, said(USE, role="assistant"), said({"toolResult": {"toolUseId": "t1", "content": [], "status": "error"}})]},
     "cannot be empty when status value is error"),
    (CLAUDE, {"messages": [said(USE)], **TOOLS}, "a tool_use block is not allowed in a message of the role user"),
    (CLAUDE, {"messages": [said({"image": {"format": "jpeg", "source": {"bytes": PNG}}})]}, "not a valid jpeg"),
    (CLAUDE, {"messages": [said({"image": {"format": "png", "source": {"bytes": "?"}}})]}, "not base64"),
    (CLAUDE, {"messages": [said({"image": {"format": "png", "source": {"url": "https://a"}}})]}, "extraneous key [url]"),
    (CLAUDE, {"messages": [said({"video": {"format": "mp4", "source": {"bytes": PNG}}}, {"text": "a"})]}, "doesn't support the video"),
    (CLAUDE, {"messages": [said(document())]}, "a text block is required beside a document"),
    (CLAUDE, {"messages": [said(document("a.txt"), {"text": "a"})]}, "The document file name can only contain"),
    (CLAUDE, {"messages": [said(POINT, {"text": "a"})]}, "must come after the content"),
    (CLAUDE, {"messages": [said({"text": "a"}, *[POINT] * 5)]}, "A maximum of 4 cache points"),
    (CLAUDE, {"messages": [USER], "inferenceConfig": {"maxTokens": 0}}, "Value at 'inferenceConfig.maxTokens'"),
    (CLAUDE, {"messages": [USER], "inferenceConfig": {"maxTokens": 200_000}}, "exceeds the model limit of 128000"),
    (CLAUDE, {"messages": [USER], "inferenceConfig": {"temperature": 1.5}}, "Value at 'inferenceConfig.temperature'"),
    (NEW_CLAUDE, {"messages": [USER], "inferenceConfig": {"temperature": 1}}, "temperature is not supported"),
    (NEW_CLAUDE, {"messages": [USER], "inferenceConfig": {"topP": 1}}, "topP is not supported"),
    (CLAUDE, {"messages": [USER], "inferenceConfig": {"topK": 1}}, "extraneous key [topK]"),
    (CLAUDE, {"messages": [USER], "toolConfig": {"tools": []}}, "Value at 'toolConfig.tools'"),
    (CLAUDE, {"messages": [USER], "toolConfig": {"tools": [TOOL, TOOL]}}, "more than one tool with the name f"),
    (CLAUDE, {"messages": [USER], "toolConfig": {"tools": [TOOL], "toolChoice": {"tool": {"name": "g"}}}}, "Tool 'g' not found"),
    (CLAUDE, {"messages": [USER], "toolConfig": {"tools": [TOOL], "toolChoice": {"none": {}}}}, "extraneous key [none]"),
    (NEW_CLAUDE, {"messages": [USER], "toolConfig": {"tools": [TOOL], "toolChoice": {"any": {}}}}, "doesn't support the toolConfig.toolChoice.any"),
    (LLAMA, {"messages": [USER], "toolConfig": {"tools": [TOOL], "toolChoice": {"any": {}}}}, "doesn't support the toolConfig.toolChoice.any"),
    (CLAUDE, {"messages": [USER], "additionalModelRequestFields": {"seed": 1}}, "seed: Extra inputs are not permitted"),
    (CLAUDE, {"messages": [USER], "additionalModelRequestFields": {"thinking": {"type": "enabled"}}}, "thinking: "),
    (NEW_CLAUDE, {"messages": [USER], "additionalModelRequestFields": {"thinking": {"type": "disabled"}}}, "'disabled' is not supported"),
    (CLAUDE, {"messages": [USER], "outputConfig": {"effort": "xhigh"}}, "'xhigh' is not supported"),
    (CLAUDE, {"messages": [USER], "outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "x"}}}}},
     "is not a JSON object"),
    (CLAUDE, {"messages": [USER], "guardrailConfig": {"guardrailIdentifier": "abc"}}, "must both be given"),
    (CLAUDE, {"messages": [USER], "requestMetadata": {"a": "é"}}, "Value at 'requestMetadata"),
    (CLAUDE, {"messages": [USER, said({"reasoningContent": {"reasoningText": {"text": "a", "signature": "b"}}}, role="assistant"), USER]},
     "Invalid `signature`"),
    (CLAUDE, {"messages": [USER, said({"reasoningContent": {"redactedContent": "aGk="}}, role="assistant"), USER]}, "Invalid `data`"),
    ("claude-opus-4-6", {"messages": [USER]}, "The provided model identifier is invalid"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "body", "words"), REFUSED, ids=[f"{at} {case[2][:40]}" for at, case in enumerate(REFUSED)]
)
def test_what_bedrock_would_not_take_is_refused(ask: Ask, model: str, body: Any, words: str) -> None:
    answered = ask(model, body)
    assert (answered.status, answered.headers["x-amzn-errortype"]) == (400, "ValidationException"), answered.json
    assert words in answered.json["message"]


TAKEN: list[tuple[str, dict[str, Any], str]] = [
    (CLAUDE, {"messages": [said({"text": "a"}, IMAGE, document(), POINT)], "system": [{"text": "be brief"}, POINT]},
     "[system:be brief] [image:1 image/png 83 bytes] [document:1 text/plain 3 bytes]"),
    (CLAUDE, {**TOOLS, "messages": [USER, said({"text": "a"}, USE, role="assistant"), said(RESULT, {"text": "b"})]}, "[result:f ok]"),
    (LLAMA, {**TOOLS, "messages": [USER, said(USE, role="assistant"), said({"toolResult": {"toolUseId": "t1", "content": [{"json": {"a": 1}}]}})]},
     '[result:f {"a":1}]'),
    ("anthropic.claude-opus-4-5-20251101-v1:0", {"messages": [USER, said({"text": "so"}, role="assistant")]}, "You said"),
    ("anthropic.claude-opus-5", {"messages": [USER, said({"text": "s"}, role="system"), said({"text": "a"}, role="assistant"), USER]}, "[system:s]"),
    ("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0",
     {"messages": [said({"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://abc/d"}}}}, {"text": "a"})]}, "[video:1 video/mp4 s3://abc/d]"),
    ("sim-fast", {"messages": [USER], "inferenceConfig": {"temperature": 1, "topP": 0.5, "stopSequences": ["x"], "maxTokens": 9},
                  "requestMetadata": {"a": "b"}, "performanceConfig": {"latency": "optimized"}, "serviceTier": {"type": "flex"}}, "You said"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "body", "words"), TAKEN, ids=[case[2] for case in TAKEN])
def test_what_bedrock_takes_is_answered(ask: Ask, model: str, body: Any, words: str) -> None:
    answered = ask(model, body)
    assert answered.status == 200, answered.json
    content = answered.json["output"]["message"]["content"]
    assert words in "".join(block.get("text", "") for block in content)


@pytest.mark.parametrize(
    ("model", "body", "reason"),
    [
        ("sim", {"messages": [USER]}, "end_turn"),
        ("sim", {"messages": [USER], **TOOLS}, "tool_use"),
        ("sim", {"messages": [USER], "inferenceConfig": {"maxTokens": 3}}, "max_tokens"),
        ("sim", {"messages": [USER], "inferenceConfig": {"stopSequences": ["said"]}}, "stop_sequence"),
        ("sim+refusal", {"messages": [USER]}, "content_filtered"),
        ("sim+refusal", {"messages": [USER], "guardrailConfig": {"guardrailIdentifier": "a", "guardrailVersion": "1"}}, "guardrail_intervened"),
        ("sim+finish=model_context_window_exceeded", {"messages": [USER]}, "model_context_window_exceeded"),
    ],
)  # fmt: skip
def test_it_says_why_it_stopped_and_a_stream_says_the_same(ask: Ask, model: str, body: Any, reason: str) -> None:
    whole = ask(model, body).json
    events = ask(model, body, "converse-stream").events
    assert whole["stopReason"] == reason
    said = dict(events)
    assert said["messageStop"]["stopReason"] == reason
    assert said["metadata"]["usage"] == whole["usage"]
    assert _folded(events) == whole["output"]["message"]["content"]


def _folded(events: list[tuple[str, Any]]) -> list[Any]:
    blocks: dict[int, Any] = {}
    for name, data in events:
        if name == "contentBlockStart":
            blocks[data["contentBlockIndex"]] = {"toolUse": {**data["start"]["toolUse"], "input": ""}}
        elif name == "contentBlockDelta":
            block, delta = blocks.setdefault(data["contentBlockIndex"], {}), data["delta"]
            if "text" in delta:
                block["text"] = block.get("text", "") + delta["text"]
            elif "toolUse" in delta:
                block["toolUse"]["input"] += delta["toolUse"]["input"]
            elif "redactedContent" in delta["reasoningContent"]:
                block["reasoningContent"] = delta["reasoningContent"]
            else:
                inner = block.setdefault("reasoningContent", {"reasoningText": {"text": ""}})["reasoningText"]
                for key, value in delta["reasoningContent"].items():
                    inner[key] = inner.get(key, "") + value
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"])
    return list(blocks.values())


@pytest.mark.parametrize("suffix", ["", "+redacted"])
def test_reasoning_is_signed_streamed_and_taken_back(ask: Ask, suffix: str) -> None:
    body: Any = {
        "messages": [USER],
        "additionalModelRequestFields": {"thinking": {"type": "adaptive", "display": "summarized"}},
    }
    model = f"anthropic.claude-opus-5{suffix}"
    message = ask(model, body).json["output"]["message"]
    assert _folded(ask(model, body, "converse-stream").events) == message["content"]
    assert list(message["content"][0]["reasoningContent"]) == ["redactedContent" if suffix else "reasoningText"]
    assert ask(model, {**body, "messages": [USER, message, USER]}).status == 200


def test_cache_points_are_written_and_reads_are_steered(ask: Ask, application: Application) -> None:
    messages = [said({"text": "x" * 400}, {"cachePoint": {"type": "default", "ttl": "1h"}}, {"text": "hi"})]
    usage = ask("sim+tokens=9,cached=30", {"messages": messages}).json["usage"]
    assert usage == {
        "inputTokens": 1, "outputTokens": 9, "totalTokens": 110, "cacheReadInputTokens": 30, "cacheWriteInputTokens": 70,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 70}],
    }  # fmt: skip


def test_a_json_schema_is_met_and_fields_are_given_back(ask: Ask) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    structure = {"jsonSchema": {"schema": json.dumps(schema), "name": "n"}}
    body = {
        "messages": [USER],
        "outputConfig": {"textFormat": {"type": "json_schema", "structure": structure}},
        "additionalModelResponseFieldPaths": ["/stop_sequence", "/nothing"],
        "guardrailConfig": {"guardrailIdentifier": "a", "guardrailVersion": "DRAFT", "trace": "enabled"},
    }
    reply = ask("sim", body).json
    assert isinstance(json.loads(reply["output"]["message"]["content"][0]["text"])["a"], int)
    assert reply["additionalModelResponseFields"] == {"stop_sequence": None}
    assert "guardrail" in reply["trace"]


def test_errors_are_exceptions_on_the_way_and_in_the_stream(ask: Ask) -> None:
    for spec, status, name in (
        ("status=429", 429, "ThrottlingException"),
        ("status=503", 503, "ServiceUnavailableException"),
        ("code=modelNotReadyException", 429, "ModelNotReadyException"),
        ("code=ServiceQuotaExceededException", 400, "ServiceQuotaExceededException"),
        ("status=424", 424, "ModelErrorException"),
        ("status=403,code=ExpiredTokenException", 403, "ExpiredTokenException"),
    ):
        answered = ask("sim+" + spec, {"messages": [USER]}, "converse-stream")
        assert (answered.status, answered.headers["x-amzn-errortype"]) == (status, name)
        assert answered.json["message"]
    events = ask("sim+error=3,code=throttlingException", {"messages": [USER]}, "converse-stream").events
    assert [name for name, _ in events][-1:] == ["throttlingException"]
    assert len(events) == 4


def test_a_broken_message_is_well_framed(ask: Ask) -> None:
    answered = ask("sim+malformed=2", {"messages": [USER]}, "converse-stream")
    buffer = EventStreamBuffer()
    buffer.add_data(b"".join(answered.frames))
    payloads = [event.payload for event in buffer]
    with pytest.raises(json.JSONDecodeError):
        json.loads(payloads[1])


def test_tokens_are_counted_as_they_would_be_billed(ask: Ask) -> None:
    body = {"messages": [USER], "system": [{"text": "s"}], **TOOLS}
    counted = ask(CLAUDE, {"input": {"converse": body}}, "count-tokens").json["inputTokens"]
    assert counted == ask(CLAUDE, body).json["usage"]["inputTokens"]
    raw = base64.b64encode(b"12345678").decode()
    assert ask(CLAUDE, {"input": {"invokeModel": {"body": raw}}}, "count-tokens").json == {"inputTokens": 2}
    assert ask(CLAUDE, {"input": {}}, "count-tokens").status == 400
    assert ask(CLAUDE, {"messages": [USER]}, "count-tokens").status == 400


def test_embeddings_and_ranking_have_their_makers_bodies(ask: Ask, application: Application) -> None:
    titan = ask(
        "amazon.titan-embed-text-v2:0",
        {"inputText": "hello", "dimensions": 256, "embeddingTypes": ["float", "binary"]},
        "invoke",
    )
    assert (len(titan.json["embedding"]), len(titan.json["embeddingsByType"]["binary"])) == (256, 256)
    assert sum(value**2 for value in titan.json["embedding"]) == pytest.approx(1)
    assert titan.json["inputTextTokenCount"] == 2
    assert len(ask("amazon.titan-embed-text-v1", {"inputText": "a"}, "invoke").json["embedding"]) == 1536
    cohere = ask("cohere.embed-english-v3", {"texts": ["a", "b"], "input_type": "search_query"}, "invoke")
    assert [len(vector) for vector in cohere.json["embeddings"]] == [1024, 1024]
    types = {
        "texts": ["a"],
        "input_type": "clustering",
        "embedding_types": ["int8", "ubinary"],
        "output_dimension": 512,
    }
    by_type = ask("us.cohere.embed-v4:0", types, "invoke").json["embeddings"]
    assert (len(by_type["int8"][0]), len(by_type["ubinary"][0])) == (512, 64)
    asked = {"query": "red car", "documents": ["a blue boat", "a red car"], "top_n": 1, "api_version": 2}
    ranked = ask("cohere.rerank-v3-5:0", asked, "invoke")
    assert [result["index"] for result in ranked.json["results"]] == [1]
    records = application.statistics.snapshot().requests
    assert records[-1].units == {"searches": 1}
    for model, body in (
        ("amazon.titan-embed-text-v2:0", {"inputText": "a", "dimensions": 3}),
        ("amazon.titan-embed-text-v1", {"inputText": "a", "dimensions": 256}),
        ("cohere.embed-english-v3", {"texts": ["a"]}),
        ("cohere.embed-english-v3", {"texts": ["a"], "input_type": "clustering", "output_dimension": 512}),
        ("cohere.rerank-v3-5:0", {"query": "a", "documents": ["b"]}),
        (CLAUDE, {"anthropic_version": "bedrock-2023-05-31"}),
    ):
        assert ask(model, body, "invoke").status == 400


NOW_S = 1_795_000_000.0
AWS = Aws(access_key_id="AKIDTEST", secret_access_key="s/e+c", session_token="tok")


def _signed(secret: str = "s/e+c", *, service: str = "bedrock", token: str | None = "tok", **changes: str) -> Request:
    path = f"/model/{quote('anthropic.claude-opus-5-5-v1:0', safe='')}/converse"
    request = AWSRequest(
        "POST", f"http://host:1{path}", data=b"{}", headers={"content-type": "application/json", "host": "host:1"}
    )
    auth = SigV4Auth(Credentials("AKIDTEST", secret, token), service, "eu-west-1")
    auth.add_auth(request)
    headers = {name.lower(): str(value) for name, value in request.headers.items()}
    headers.update({name.replace("_", "-"): value for name, value in changes.items()})
    return Request("POST", path.replace("%3A", ":"), {}, headers, b"{}", path)


def _name_of_refusal(request: Request, now_s: float | None = None) -> str | None:
    surface = Bedrock(0, Config(aws=AWS), lambda: datetime.now(UTC).timestamp() if now_s is None else now_s)
    target = surface.route(request)
    assert target is not None
    try:
        surface.admit(request, target)
    except Refusal as refusal:
        return dict(refusal.headers)["x-amzn-errortype"]
    return None


def test_a_good_signature_opens() -> None:
    assert _name_of_refusal(_signed()) is None
    assert _name_of_refusal(_signed(authorization="Bearer any")) is None


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (lambda: _signed("other"), "InvalidSignatureException"),
        (lambda: _signed(service="bedrock-runtime"), "InvalidSignatureException"),
        (lambda: _signed(token=None), "UnrecognizedClientException"),
        (lambda: _signed(token="old"), "ExpiredTokenException"),
        (lambda: _signed(host="elsewhere"), "InvalidSignatureException"),
        (lambda: _signed(x_amz_more="1"), "InvalidSignatureException"),
        (lambda: _signed(x_amz_date="20200101T000000Z"), "InvalidSignatureException"),
        (lambda: _signed(x_amz_date="today"), "IncompleteSignatureException"),
        (lambda: _signed(x_amz_content_sha256="0" * 64), "InvalidSignatureException"),
        (lambda: _signed(authorization="AWS4-HMAC-SHA256 Credential=a"), "IncompleteSignatureException"),
        (lambda: _signed(authorization=_signed().headers["authorization"].replace("AKIDTEST", "AKIDOTHER")), "UnrecognizedClientException"),
        (lambda: _signed(authorization=""), "MissingAuthenticationTokenException"),
        (lambda: _signed(authorization="Bearer wrong"), "AccessDeniedException"),
    ],
)  # fmt: skip
def test_any_other_signature_does_not(request_: Any, name: str) -> None:
    assert _name_of_refusal(request_()) == name


def test_a_signature_gets_old() -> None:
    assert _name_of_refusal(_signed(), NOW_S) == "InvalidSignatureException"


def test_what_is_not_an_operation_is_not_found(ask: Ask) -> None:
    assert ask(CLAUDE, {}, "invoke-with-response-stream").headers["x-amzn-errortype"] == "UnknownOperationException"
    request = Request("GET", f"/model/{CLAUDE}/converse", {}, {}, b"")
    assert Answered(ask.application.answer(request)).status == 404
    assert ask(CLAUDE, b"{").status == 400
    assert ask(CLAUDE, {"messages": [USER]}, **{"content-type": "text/plain"}).status == 400
