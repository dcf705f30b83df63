"""What Gemini would refuse, the simulator refuses; what it takes, it takes."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from simulator_wire import Wire

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(8)).decode()
USER: dict[str, Any] = {"role": "user", "parts": [{"text": "hi"}]}
DUMMY = "skip_thought_signature_validator"


def call(name: str = "f", **more: Any) -> dict[str, Any]:
    return {"role": "model", "parts": [{"functionCall": {"name": name, "args": {}}, **more}]}


def response(name: str = "f", **more: Any) -> dict[str, Any]:
    return {"role": "user", "parts": [{"functionResponse": {"name": name, "response": {"a": 1}, **more}}]}


def config(**options: Any) -> dict[str, Any]:
    return {"generationConfig": options}


def functions(*declarations: Any) -> dict[str, Any]:
    return {"tools": [{"functionDeclarations": list(declarations)}]}


SIGNED = call(thoughtSignature=DUMMY)
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("unknown field", {"frobnicate": 1}, 'Unknown name "frobnicate": Cannot find field.'),
    ("unknown part field", {"contents": [{"parts": [{"texts": "a"}]}]}, "Unknown name \"texts\" at 'contents[0].parts[0]'"),
    ("OpenAI's messages", {"messages": []}, 'Unknown name "messages"'),
    ("both spellings", {"generationConfig": {"top_k": 1, "topK": 1}}, "given twice"),
    ("wrong type", {"contents": [{"parts": [{"text": 1}]}]}, "Invalid value at 'contents[0].parts[0].text'"),
    ("no contents", {"contents": []}, "contents is not specified"),
    ("no parts", {"contents": [{"role": "user", "parts": []}]}, "contents.parts must not be empty"),
    ("system role", {"contents": [{"role": "system", "parts": [{"text": "a"}]}, USER]}, "valid role: user, model"),
    ("assistant role", {"contents": [USER, {"role": "assistant", "parts": [{"text": "a"}]}, USER]}, "valid role"),
    ("model last", {"contents": [USER, {"role": "model", "parts": [{"text": "a"}]}]}, "end with a user role"),
    ("two kinds in a part", {"contents": [{"parts": [{"text": "a", "functionCall": {"name": "f"}}]}]}, "oneof"),
    ("nothing in a part", {"contents": [{"parts": [{"thought": True}]}]}, "must have one initialized field"),
    ("call without response", {"contents": [USER, SIGNED, USER]}, "number of function response parts"),
    ("response without call", {"contents": [response()]}, "immediately after a function call turn"),
    ("response of another", {"contents": [USER, SIGNED, response("g")]}, "does not match any function call"),
    ("response of another id", {"contents": [USER, {"role": "model", "parts": [
        {"functionCall": {"id": "1", "name": "f"}, "thoughtSignature": DUMMY}]}, response(id="2")]}, "does not match"),
    ("call without signature", {"contents": [USER, call(), response()]}, "missing a thought_signature"),
    ("foreign signature", {"contents": [USER, call(thoughtSignature="AAAA"), response()]}, "Invalid/Corrupted"),
    ("function role", {"contents": [USER, SIGNED, {**response(), "role": "function"}]}, "valid role"),
    ("image that is not base64", {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "@"}}]}]},
     "Base64 decoding failed"),
    ("image of another type", {"contents": [{"parts": [{"inlineData": {"mimeType": "image/jpeg", "data": PNG}}]}]},
     "Unable to process input image"),
    ("gif", {"contents": [{"parts": [{"inlineData": {"mimeType": "image/gif", "data": PNG}}]}]}, "Unsupported MIME type"),
    ("image of no type", {"contents": [{"parts": [{"inlineData": {"data": PNG}}]}]}, "mime_type is required"),
    ("temperature", config(temperature=2.5), "generationConfig.temperature"),
    ("six stops", config(stopSequences=list("abcdef")), "stopSequences"),
    ("no tokens", config(maxOutputTokens=0), "maxOutputTokens"),
    ("both schemas", config(responseMimeType="application/json", responseSchema={"type": "OBJECT"},
                            responseJsonSchema={}), "Only one of"),
    ("schema without a type", config(responseJsonSchema={}), "requires response_mime_type"),
    ("JSON Schema in the subset", config(responseMimeType="application/json",
                                         responseSchema={"type": "OBJECT", "$defs": {}}), 'Unknown name "$defs"'),
    ("mime type", config(responseMimeType="text/html"), "allowed mimetypes"),
    ("level and budget", config(thinkingConfig={"thinkingLevel": "LOW", "thinkingBudget": 1}), "only set one of"),
    ("small level", config(thinkingConfig={"thinkingLevel": "MINIMAL"}), "MINIMAL is not supported"),
    ("lower-case level", config(thinkingConfig={"thinkingLevel": "low"}), "thinkingLevel"),
    ("images out", config(responseModalities=["IMAGE"]), "only supports text output"),
    ("function name", functions({"name": "1f"}), "Invalid function name"),
    ("two functions of one name", functions({"name": "f"}, {"name": "f"}), "Duplicate function declaration"),
    ("both parameters", functions({"name": "f", "parameters": {"type": "OBJECT"}, "parametersJsonSchema": {}}),
     "only one of parameters"),
    ("parameters of no object", functions({"name": "f", "parameters": {"type": "STRING"}}), "type OBJECT"),
    ("unknown requirement", functions({"name": "f", "parameters": {"type": "OBJECT", "required": ["a"]}}),
     "property is not defined: a"),
    ("any of nothing", {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, "no function declarations"),
    ("allowed but auto", {**functions({"name": "f"}), "toolConfig": {"functionCallingConfig": {
        "mode": "AUTO", "allowedFunctionNames": ["f"]}}}, "ANY or VALIDATED"),
    ("allowed but unknown", {**functions({"name": "f"}), "toolConfig": {"functionCallingConfig": {
        "mode": "ANY", "allowedFunctionNames": ["g"]}}}, "g is not a declared function"),
    ("call by the user", {"contents": [{"parts": [{"functionCall": {"name": "f"}}]}]}, "belong to the model role"),
    ("response by the model", {"contents": [USER, {**response(), "role": "model"}, USER]}, "belong to the user role"),
    ("two model turns", {"contents": [USER, SIGNED, {"role": "model", "parts": [{"text": "a"}]}, USER]},
     "immediately after a function call turn"),
    ("system image", {"systemInstruction": {"parts": [{"fileData": {"fileUri": "https://a/b"}}]}}, "only text parts"),
    ("file of nowhere", {"contents": [{"parts": [{"fileData": {"mimeType": "image/png"}}]}]}, "file_uri is required"),
    ("array of nothing", functions({"name": "f", "parameters": {"type": "OBJECT", "properties": {
        "a": {"type": "ARRAY"}}}}), "parameters.properties[a].items: missing field"),
    ("logprobs alone", config(logprobs=2), "response_logprobs"),
    ("unknown type", functions({"name": "f", "parameters": {"type": "OBJECT", "properties": {
        "a": {"type": "TEXT"}}}}), "parameters.properties[a].type"),
    ("safety threshold", {"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "NEVER"}]},
     "safetySettings[0].threshold"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
async def test_a_bad_request_is_refused_with_its_field(wire: Wire, change: dict[str, Any], message: str) -> None:
    answer = await wire.gemini("gemini-3.8-flash", {"contents": [USER], **change})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert message in error["message"]


TAKEN: list[tuple[str, dict[str, Any]]] = [
    ("snake case", {"system_instruction": {"parts": [{"text": "s"}]},
                    "generation_config": {"max_output_tokens": 9, "thinking_config": {"thinking_level": "LOW"}}}),
    ("a mixture", {"contents": [{"parts": [{"inlineData": {"mime_type": "image/png", "data": PNG}}]}]}),
    ("URL-safe base64", {"contents": [{"parts": [{"inlineData": {
        "mimeType": "application/pdf", "data": base64.urlsafe_b64encode(b"\xff\xfe\xfb%PDF").decode()}}]}]}),
    ("nulls", {"tools": None, "generationConfig": {"temperature": None}}),
    ("no role", {"contents": [{"parts": [{"text": "a"}]}]}),
    ("dummy signature", {"contents": [USER, SIGNED, response()]}),
    ("dummy signature as bytes", {"contents": [USER, call(thoughtSignature=base64.b64encode(DUMMY.encode()).decode()),
                                               response()]}),
    ("call of an earlier turn", {"contents": [USER, call(), response(), {"role": "model", "parts": [{"text": "a"}]},
                                              USER]}),
    ("second call unsigned", {"contents": [USER, {"role": "model", "parts": [*SIGNED["parts"], *call("g")["parts"]]},
                                           {"role": "user", "parts": [*response("g")["parts"], *response()["parts"]]}]}),
    ("subset of a schema", config(responseMimeType="application/json", responseSchema={
        "type": "object", "properties": {"a_b": {"type": "STRING", "nullable": True}}, "required": ["a_b"],
        "property_ordering": ["a_b"]})),
    ("every option", {**config(temperature=2, topP=0.5, topK=40, seed=1, presencePenalty=1, frequencyPenalty=-1),
                      "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
                      "serviceTier": "flex", "labels": {"a_b": "c"}}),
    ("response with an image", {"contents": [USER, SIGNED, {"role": "user", "parts": [{"functionResponse": {
        "name": "f", "response": {}, "parts": [{"inlineData": {"mimeType": "image/png", "data": PNG}}]}}]}]}),
    ("logprobs", config(responseLogprobs=True, logprobs=2)),
    ("search", {"tools": [{"google_search": {}}]}),
]  # fmt: skip


@pytest.mark.parametrize("change", [case[1] for case in TAKEN], ids=[case[0] for case in TAKEN])
async def test_a_good_request_is_taken(wire: Wire, change: dict[str, Any]) -> None:
    answer = await wire.gemini("gemini-3.8-flash", {"contents": [USER], **change})
    assert answer.status_code == 200, answer.text


async def test_models_differ(wire: Wire) -> None:
    async def status(model: str, method: str = "generateContent", **body: Any) -> int:
        return (await wire.gemini(model, {"contents": [USER], **body}, method)).status_code

    thinking = config(thinkingConfig={"thinkingLevel": "LOW"})
    off = config(thinkingConfig={"thinkingBudget": 0})
    json_with_tools = {**functions({"name": "f"}), **config(responseMimeType="application/json")}
    assert await status("gemini-2.5-flash", **thinking) == 400
    assert await status("gemini-2.5-flash", **off) == 200
    assert await status("gemini-2.5-pro", **off) == 400
    assert await status("gemini-2.5-flash", **json_with_tools) == 400
    assert await status("gemini-3.8-flash", **json_with_tools) == 200
    assert await status("gemini-2.5-flash", contents=[USER, call(), response()]) == 200
    assert await status("sim-fast", contents=[USER, call(), response()]) == 200
    assert await status("gemini-3.8-flash", "streamGenerateContent", **config(candidateCount=2)) == 400
    assert await status("gpt-4.1") == 404


async def test_a_signature_belongs_to_its_call(wire: Wire) -> None:
    """It survives another order of keys, not other arguments."""
    body = {"contents": [USER], **functions({"name": "f", "parametersJsonSchema": {
        "type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}})}  # fmt: skip
    part = (await wire.gemini("gemini-4-argon", body)).json()["candidates"][0]["content"]["parts"][0]
    args = part["functionCall"]["args"]

    async def status(replayed: dict[str, Any]) -> int:
        turn = {"role": "model", "parts": [{**part, "functionCall": {**part["functionCall"], "args": replayed}}]}
        return (await wire.gemini("gemini-4-argon", {**body, "contents": [USER, turn, response()]})).status_code

    assert await status(args) == 200
    assert await status(dict(reversed(args.items()))) == 200
    assert await status({**args, "b": -1}) == 400


async def test_keys_come_in_a_header_or_in_the_query(wire: Wire) -> None:
    body = json.dumps({"contents": [USER]}).encode()
    path = "/v1beta/models/gemini-3.8-flash:generateContent"
    assert (await wire.post(f"{path}?key=k", body)).status_code == 200
    missing = await wire.post(path, body)
    assert (missing.status_code, missing.json()["error"]["status"]) == (403, "PERMISSION_DENIED")


async def test_what_is_no_json_or_no_model_is_refused(wire: Wire) -> None:
    broken = await wire.post("/v1/models/gemini-3.8-flash:generateContent", b"[", x_goog_api_key="k")
    assert broken.json()["error"]["message"].startswith("Invalid JSON payload received")
    cached = await wire.gemini("gemini-3.8-flash", {"contents": [USER], "cachedContent": "cachedContents/1"})
    assert cached.json()["error"]["status"] == "PERMISSION_DENIED"
    assert (await wire.get("/v1beta/models/gemini-3.8-flash:generateContent", x_goog_api_key="k")).status_code == 405
    assert (await wire.get("/v1beta/nothing", x_goog_api_key="k")).json()["error"]["status"] == "NOT_FOUND"
    assert (await wire.get("/v1/models/gpt-4.1", x_goog_api_key="k")).status_code == 404


async def test_a_stream_without_sse_is_a_json_array(wire: Wire) -> None:
    answer = await wire.gemini("gemini-3.8-flash", {"contents": [USER]}, "streamGenerateContent")
    assert answer.headers["content-type"].startswith("application/json")
    responses = answer.json()
    assert isinstance(responses, list)
    assert responses[-1]["candidates"][0]["finishReason"] == "STOP"
    refused = await wire.gemini("gemini-3.8-flash", {"contents": []}, "streamGenerateContent")
    assert refused.json()[0]["error"]["code"] == 400


async def test_sse_frames_end_in_crlf_and_have_no_end_mark(wire: Wire) -> None:
    answer = await wire.gemini("gemini-3.8-flash", {"contents": [USER]}, "streamGenerateContent?alt=sse")
    assert answer.headers["content-type"] == "text/event-stream"
    *frames, rest = answer.content.split(b"\r\n\r\n")
    assert rest == b""
    assert all(frame.startswith(b"data: {") and b"\n" not in frame for frame in frames)
