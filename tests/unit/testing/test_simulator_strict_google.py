"""What Google would refuse beside chat, the simulator refuses; whatever is sent, something is answered."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_simulator_fuzz import VALUES, changed, places

from pulse_gateway.testing.simulator.application import Application
from pulse_gateway.testing.simulator.config import Config
from pulse_gateway.testing.simulator.delivery import Delivery
from pulse_gateway.testing.simulator.vendor import Request

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(8)).decode()
V1BETA = "/v1beta/models"
PUBLISHED = "/v1/projects/p/locations/global/publishers/google/models"
TEXT: dict[str, Any] = {"role": "user", "parts": [{"text": "hi"}]}
EMBED = f"{V1BETA}/gemini-embedding-2:embedContent"
BATCH = f"{V1BETA}/gemini-embedding-001:batchEmbedContents"
ONE = {"model": "models/gemini-embedding-001", "content": TEXT}
COUNT = f"{V1BETA}/gemini-3.8-flash:countTokens"
PAINT = f"{V1BETA}/gemini-3-pro-image:generateContent"
SPEAK = f"{V1BETA}/gemini-3.8-flash-tts:generateContent"
IMAGEN = f"{PUBLISHED}/imagen-4.0-generate-001:predict"
VEO = f"{PUBLISHED}/veo-3.1-generate-001:predictLongRunning"
PREDICT = f"{PUBLISHED}/text-embedding-005:predict"
INTERACT = "/v1beta/interactions"


def ask(
    path: str, body: Any, application: Application | None = None, method: str = "POST", **headers: str
) -> tuple[Delivery, Any]:
    """The answer and its JSON."""
    path, _, query = path.partition("?")
    pairs = dict(pair.split("=", 1) for pair in query.split("&") if pair)
    sent = {"x-goog-api-key": "k", "host": "sim", "authorization": "Bearer ya29.test"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    delivery = (application or Application(0, Config())).answer(Request(method, path, pairs, sent, raw))
    return delivery, json.loads(delivery.frames[0].data)


def painting(modalities: list[str] | None = None, **config: Any) -> dict[str, Any]:
    return {"contents": [TEXT], "generationConfig": {"responseModalities": modalities or ["IMAGE"], **config}}


def spoken(voice: Any = None, **more: Any) -> dict[str, Any]:
    config: dict[str, Any] = {"responseModalities": ["AUDIO"]}
    if voice is not None:
        config["speechConfig"] = voice
    return {"contents": [TEXT], "generationConfig": config, **more}


def named(name: str) -> dict[str, Any]:
    return {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": name}}}


def prediction(parameters: dict[str, Any], **instance: Any) -> dict[str, Any]:
    return {"instances": [{"prompt": "a cat", **instance}], "parameters": parameters}


def film(**more: Any) -> dict[str, Any]:
    return {"model": "gemini-omni-1.1-flash", "input": "a cat", **more}


IMAGE = {"bytesBase64Encoded": PNG, "mimeType": "image/png"}
REFUSED: list[tuple[str, str, Any, str]] = [
    ("dimensions", EMBED, {"content": TEXT, "outputDimensionality": 4000}, "outputDimensionality"),
    ("title without its task", EMBED, {"content": TEXT, "title": "t"}, "RETRIEVAL_DOCUMENT"),
    ("task", EMBED, {"content": TEXT, "taskType": "search_query"}, "taskType"),
    ("no content", EMBED, {}, "content is required"),
    ("no text", EMBED, {"content": {"parts": [{"text": ""}]}}, "must not be empty"),
    ("contents", EMBED, {"contents": [TEXT]}, 'Unknown name "contents"'),
    ("Vertex's config", EMBED, {"content": TEXT, "embedContentConfig": {}}, 'Unknown name "embedContentConfig"'),
    ("too long", BATCH, {"requests": [{**ONE, "content": {"parts": [{"text": "x" * 9000}]}}]}, "exceeds the maximum"),
    ("a picture in text", BATCH, {"requests": [{**ONE, "content": {"parts": [
        {"inlineData": {"mimeType": "image/png", "data": PNG}}]}}]}, "only embeds text"),
    ("no model in the batch", BATCH, {"requests": [{"content": TEXT}]}, "requests[0].model: model is required"),
    ("another model in the batch", BATCH, {"requests": [{**ONE, "model": "models/x"}]}, "must be the model of the path"),
    ("empty batch", BATCH, {"requests": []}, "requests"),
    ("large batch", BATCH, {"requests": [ONE] * 101}, "at most 100 requests"),
    ("both to count", COUNT, {"contents": [TEXT], "generateContentRequest": {
        "model": "models/gemini-3.8-flash", "contents": [TEXT]}}, "Only one of"),
    ("nothing to count", COUNT, {}, "contents is not specified"),
    ("a system prompt beside the contents", COUNT, {"contents": [TEXT], "systemInstruction": TEXT}, "Unknown name"),
    ("shape", PAINT, painting(imageConfig={"aspectRatio": "1:4"}), "aspect_ratio must be one of '1:1'"),
    ("size", PAINT, painting(imageConfig={"imageSize": "512"}), "image_size must be one of '1K'"),
    ("Vertex's image options", PAINT, painting(imageConfig={"personGeneration": "ALLOW_ALL"}), "Unknown name"),
    ("two pictures", PAINT, painting(candidateCount=2), "Multiple candidates"),
    ("sound of a picture model", PAINT, painting(["AUDIO"]), "combination of response modalities (AUDIO)"),
    ("functions", PAINT, {**painting(), "tools": [{"functionDeclarations": [{"name": "f"}]}]}, "Function calling is not"),
    ("a picture of a text model", f"{V1BETA}/gemini-3.8-flash:generateContent", painting(), "only supports text output"),
    ("text of a voice", SPEAK, {"contents": [TEXT]}, "combination of response modalities (TEXT)"),
    ("unknown voice", SPEAK, spoken(named("alloy")), "Voice name alloy is not supported"),
    ("one of two speakers", SPEAK, spoken({"multiSpeakerVoiceConfig": {"speakerVoiceConfigs": [
        {"speaker": "a", **named("Kore")}]}}), "must equal 2"),
    ("instructions to a voice", SPEAK, spoken(systemInstruction=TEXT), "Developer instruction is not enabled"),
    ("a picture to read aloud", SPEAK, {**spoken(), "contents": [{"parts": [
        {"inlineData": {"mimeType": "image/png", "data": PNG}}]}]}, "only text can be spoken"),
    ("archive", f"{V1BETA}/gemini-3.8-flash:generateContent", {"contents": [{"parts": [
        {"inlineData": {"mimeType": "application/zip", "data": PNG}}]}]}, "Unsupported MIME type"),
    ("no role on Vertex", f"{PUBLISHED}/gemini-3.8-flash:generateContent", {"contents": [{"parts": [{"text": "a"}]}]},
     "valid role: user, model"),
    ("the Developer API's fields", f"{PUBLISHED}/gemini-3.8-flash:generateContent", {"contents": [TEXT], "store": True},
     'Unknown name "store"'),
    ("five pictures", IMAGEN, prediction({"sampleCount": 5}), "sampleCount"),
    ("Imagen's shapes", IMAGEN, prediction({"aspectRatio": "2:3"}), "aspectRatio"),
    ("snake case", IMAGEN, prediction({"sample_count": 1}), 'Unknown name "sample_count"'),
    ("seed and watermark", IMAGEN, prediction({"seed": 1}), "watermark"),
    ("PNG has no quality", IMAGEN, prediction({"outputOptions": {"compressionQuality": 9}}), "image/jpeg"),
    ("two prompts", IMAGEN, {"instances": [{"prompt": "a"}, {"prompt": "b"}]}, "Only one instance"),
    ("no prompt", IMAGEN, {"instances": [{}]}, "prompt is required"),
    ("seven seconds", VEO, prediction({"durationSeconds": 7}), "[4,6,8]"),
    ("4k of the light model", VEO.replace("3.1-", "3.1-lite-"), prediction({"resolution": "4k"}), "4k is not supported"),
    ("square", VEO, prediction({"aspectRatio": "1:1"}), "aspectRatio"),
    ("bucket", VEO, prediction({"storageUri": "https://a"}), "gs://"),
    ("image without a type", VEO, prediction({}, image={"bytesBase64Encoded": PNG}), "image.mimeType"),
    ("image of another type", VEO, prediction({}, image={**IMAGE, "mimeType": "image/jpeg"}), "is not image/jpeg"),
    ("image of no kind", VEO, prediction({}, image={"mimeType": "image/png"}), "exactly one of"),
    ("last frame alone", VEO, prediction({}, lastFrame=IMAGE), "needs an image"),
    ("references in four seconds", VEO, prediction({"durationSeconds": 4}, referenceImages=[
        {"image": IMAGE, "referenceType": "ASSET"}]), "must be 8"),
    ("nothing to film", VEO, {"instances": [{}]}, "is required"),
    ("text with a title", PREDICT, {"instances": [{"content": "a", "title": "t"}]}, "RETRIEVAL_DOCUMENT"),
    ("dimensions by prediction", PREDICT, {"instances": [{"content": "a"}], "parameters": {"outputDimensionality": 999}},
     "at most 768"),
    ("two texts", f"{PUBLISHED}/gemini-embedding-001:predict", {"instances": [{"content": "a"}] * 2}, "Max allowed: 1"),
    ("no input", INTERACT, {"model": "gemini-3.8-flash"}, "Missing required parameter 'input'"),
    ("no model", INTERACT, {"input": "a"}, "Missing required parameter 'model'"),
    ("camel case", INTERACT, film(responseFormat={"type": "video"}), "Unknown parameter 'responseFormat'"),
    ("mixture", INTERACT, film(input=[{"type": "text", "text": "a"}, {"type": "user_input", "content": []}]), "not both"),
    ("short film", INTERACT, film(response_format={"type": "video", "duration": "2s"}), "between 3s and 10s"),
    ("long film", INTERACT, film(response_format={"type": "video", "duration": "12s"}), "between 3s and 10s"),
    ("bare seconds", INTERACT, film(response_format={"type": "video", "duration": "8"}), "duration"),
    ("film format", INTERACT, film(response_format={"type": "video", "aspect_ratio": "1:1"}), "aspect_ratio"),
    ("film from no picture", INTERACT, film(generation_config={"video_config": {"task": "image_to_video"}}), "an image"),
    ("film of a text model", INTERACT, film(model="gemini-3.8-flash", response_format={"type": "video"}), "text output"),
    ("unkept job", INTERACT, film(background=True, store=False), "requires 'store'"),
    ("result of no call", INTERACT, film(model="gemini-3.8-flash", input=[
        {"type": "function_result", "call_id": "x", "result": "a"}]), "does not match any function call"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "why"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_google_refuses_is_refused(path: str, body: Any, why: str) -> None:
    delivery, answer = ask(path, body)
    assert delivery.status == 400, answer
    assert why in answer["error"]["message"]
    if path == INTERACT:
        assert answer["error"].keys() == {"code", "message"} and answer["error"]["code"] == "invalid_request"
    else:
        assert answer["error"]["status"] == "INVALID_ARGUMENT"


TAKEN: list[tuple[str, Any]] = [
    (EMBED, {"content": {"parts": [{"text": "a"}, {"inline_data": {"mime_type": "image/png", "data": PNG}}]}}),
    (BATCH, {"requests": [ONE, {**ONE, "task_type": "RETRIEVAL_DOCUMENT", "title": "t", "output_dimensionality": 8}]}),
    (COUNT, {"generateContentRequest": {"model": "models/gemini-3.8-flash", "contents": [TEXT], "tools": [
        {"functionDeclarations": [{"name": "f"}]}], "systemInstruction": {"parts": [{"text": "s"}]}}}),
    (COUNT, {"contents": [TEXT, {"role": "model", "parts": [{"text": "begun"}]}]}),
    (PAINT, painting(["TEXT", "IMAGE"], imageConfig={"aspect_ratio": "21:9", "image_size": "4K"})),
    (SPEAK, spoken(named("kore"))),
    (f"{PUBLISHED}/gemini-3-pro-image:generateContent", painting(imageConfig={
        "imageOutputOptions": {"mimeType": "image/png"}, "personGeneration": "ALLOW_ADULT"})),
    (f"{PUBLISHED}/gemini-3.8-flash:countTokens", {"contents": [TEXT], "systemInstruction": TEXT, "tools": []}),
    (f"{PUBLISHED}/gemini-embedding-001:predict", {"instances": [{"content": "a", "task_type": "CLUSTERING"}]}),
    (IMAGEN, prediction({"sampleCount": 2, "personGeneration": "ALLOW_ADULT", "addWatermark": False, "seed": 3})),
    (VEO, prediction({"durationSeconds": 8, "resolution": "4k", "generateAudio": True, "seed": 4_000_000_000},
                     image=IMAGE, lastFrame=IMAGE)),
    (VEO, {"instances": [{"prompt": "a", "video": {"gcsUri": "gs://bucket/a.mp4", "mimeType": "video/mp4"}}]}),
    (INTERACT, film(response_format=[{"type": "video", "duration": "9.5s"}], service_tier="flex", labels={"a": "b"})),
    (INTERACT, film(model="gemini-3.8-flash", response_format={
        "type": "text", "mime_type": "application/json", "schema": {"type": "object"}})),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body"), TAKEN, ids=[f"{at} {row[0][-40:]}" for at, row in enumerate(TAKEN)])
def test_what_google_takes_is_taken(path: str, body: Any) -> None:
    delivery, answer = ask(path, body)
    assert delivery.status == 200, answer


BODIES: dict[str, Any] = {
    BATCH: TAKEN[1][1],
    COUNT: TAKEN[2][1],
    PAINT: TAKEN[4][1],
    IMAGEN: TAKEN[9][1],
    VEO: TAKEN[10][1],
    INTERACT: {
        "model": "gemini-3.8-flash+tokens=9",
        "input": [
            {"type": "user_input", "content": [{"type": "text", "text": "a"}, {"type": "image", "uri": "https://a"}]},
            {"type": "thought", "signature": "skip_thought_signature_validator"},
            {"type": "function_call", "id": "1", "name": "f", "arguments": {"a": 1}},
            {"type": "function_result", "call_id": "1", "result": ["a"]},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
        "generation_config": {
            "tool_choice": {"allowed_tools": {"mode": "any", "tools": ["f"]}},
            "stop_sequences": ["x"],
        },
        "response_format": [{"type": "text"}],
        "stream": True,
    },
}


@pytest.mark.parametrize("path", BODIES, ids=lambda path: path.rpartition("/")[2])
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_change_of_a_good_request_is_answered(path: str, data: st.DataObject) -> None:
    body = BODIES[path]
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(places(body) or [()]))
        if not place:
            break
        body = changed(body, place, data.draw(VALUES), data.draw(st.booleans()))
    raw = json.dumps(body).encode()
    headers = {"x-goog-api-key": "k", "authorization": "Bearer ya29.test"}
    delivery = Application(0, Config()).answer(Request("POST", path, {}, headers, raw))
    assert delivery.status in {200, 400, 404}
    assert delivery.frames


def test_a_vector_is_the_same_for_the_same_text_and_another_for_another_task() -> None:
    def vector(**more: Any) -> list[float]:
        values: list[float] = ask(EMBED, {"content": TEXT, **more})[1]["embedding"]["values"]
        return values

    assert vector(outputDimensionality=8) == vector(outputDimensionality=8)
    assert vector(outputDimensionality=8) != vector(outputDimensionality=8, taskType="CLUSTERING")
    assert len(vector()) == 3072
    assert sum(each * each for each in vector(outputDimensionality=8)) == pytest.approx(1, abs=1e-6)


def test_usage_is_left_out_on_demand_and_billed_all_the_same() -> None:
    application = Application(0, Config())
    _, answer = ask(EMBED, {"content": TEXT}, application, x_simulate="no-usage")
    assert "usageMetadata" not in answer
    assert "usageMetadata" in ask(EMBED, {"content": TEXT}, application)[1]


def test_pages_of_models_are_asked_for_by_token() -> None:
    _, first = ask(f"{V1BETA}?pageSize=4", b"", method="GET")
    _, second = ask(f"{V1BETA}?pageSize=100&pageToken={first['nextPageToken'].rstrip('=')}", b"", method="GET")
    assert len(first["models"]) == 4 and "nextPageToken" not in second
    assert first["models"][0] not in second["models"]
    for query in ("pageToken=zzz", "pageSize=-1", "pageSize=a"):
        assert ask(f"{V1BETA}?{query}", b"", method="GET")[0].status == 400


def test_all_of_imagens_pictures_may_be_held_back_without_a_word() -> None:
    application = Application(0, Config())
    delivery, answer = ask(IMAGEN, prediction({"sampleCount": 2}), application, x_simulate="refusal")
    assert (delivery.status, answer) == (200, {})
    _, told = ask(
        IMAGEN, prediction({"sampleCount": 2, "includeRaiReason": True}), application, x_simulate="filtered=1"
    )
    assert [sorted(each) for each in told["predictions"]] == [["raiFilteredReason"], ["bytesBase64Encoded", "mimeType"]]
    assert [row.units for row in application.statistics.snapshot().requests] == [{}, {"images": 1}]


def test_an_operation_is_looked_at_under_its_own_model() -> None:
    application = Application(0, Config())
    _, started = ask(VEO, prediction({}), application)
    fetch = VEO.replace("predictLongRunning", "fetchPredictOperation")
    body = {"operationName": started["name"]}
    assert ask(fetch, body, application)[1] == {"name": started["name"]}
    assert ask(fetch.replace("veo-3.1-g", "veo-3.1-fast-g"), body, application)[0].status == 400
    assert ask(fetch, {"operationName": "x"}, application)[0].status == 404
    application.reset()
    assert ask(fetch, body, application)[0].status == 404


def assertion(**changed: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": "a@p.iam.gserviceaccount.com",
        "aud": "http://sim/token",
        "iat": now,
        "exp": now + 3600,
        "scope": "https://www.googleapis.com/auth/cloud-platform",
    } | changed
    alg = claims.pop("alg", "RS256")
    parts = (json.dumps({"alg": alg, "typ": "JWT"}).encode(), json.dumps(claims).encode(), bytes(256))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def grant(text: str, application: Application | None = None, query: str = "") -> tuple[Delivery, Any]:
    return ask(f"/token{query}", text.encode(), application, content_type="application/x-www-form-urlencoded")


JWT_GRANT = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion="


@pytest.mark.parametrize(
    ("form", "code", "why"),
    [
        ("", "invalid_request", "grant_type"),
        ("grant_type=password", "unsupported_grant_type", "password"),
        ("grant_type=refresh_token&client_id=a", "invalid_request", "client_secret"),
        (JWT_GRANT + "a.b", "invalid_grant", "a header, claims and a signature"),
        (JWT_GRANT + assertion(alg="HS256"), "invalid_grant", "Signature"),
        (JWT_GRANT + assertion(aud="https://example.com"), "invalid_grant", "audience"),
        (JWT_GRANT + assertion(iss="nobody"), "invalid_grant", "iss"),
        (JWT_GRANT + assertion(exp=0), "invalid_grant", "short-lived"),
        (JWT_GRANT + assertion(exp=int(time.time()) + 90_000), "invalid_grant", "short-lived"),
        (JWT_GRANT + assertion(scope="email"), "invalid_scope", "email"),
    ],
    ids=[
        "nothing",
        "password",
        "half a refresh",
        "no JWT",
        "HMAC",
        "audience",
        "issuer",
        "expired",
        "long-lived",
        "scope",
    ],
)
def test_no_token_is_given_for(form: str, code: str, why: str) -> None:
    delivery, answer = grant(form)
    assert delivery.status == 400
    assert answer["error"] == code and why in answer["error_description"]


def test_a_token_is_good_until_it_expires() -> None:
    application = Application(0, Config())

    def status(token: str) -> int:
        path = f"{PUBLISHED}/gemini-3.8-flash:generateContent"
        delivery = ask(path, {"contents": [TEXT]}, application, authorization=f"Bearer {token}")[0]
        return delivery.status

    _, lasting = grant(JWT_GRANT + assertion(), application)
    _, short = grant(
        "grant_type=refresh_token&client_id=a&client_secret=b&refresh_token=c", application, "?expires_in=0"
    )
    _, ambient = ask(
        "/computeMetadata/v1/instance/service-accounts/default/token", b"", application, "GET", metadata_flavor="Google"
    )
    assert (lasting["token_type"], lasting["expires_in"], short["expires_in"]) == ("Bearer", 3599, 0)
    tokens = (lasting["access_token"], short["access_token"], ambient["access_token"], "ya29.other")
    assert [status(token) for token in tokens] == [200, 401, 200, 401]
    delivery, failed = grant(JWT_GRANT + assertion(), application, "?x-simulate=status=503")
    assert (delivery.status, failed["error"]) == (503, "unavailable")


def test_errors_of_interactions_are_in_words() -> None:
    for spec, status, code in (
        ("status=429,retry-after=3", 429, "resource_exhausted"),
        ("code=quota_exceeded", 429, "quota_exceeded"),
        ("code=GenerateRequestsPerDay", 429, "quota_exceeded"),
        ("status=402", 402, "payment_required"),
        ("status=503", 503, "unavailable"),
    ):
        delivery, answer = ask(INTERACT, film(), x_simulate=spec)
        assert (delivery.status, answer["error"]["code"]) == (status, code)
        assert dict(delivery.headers).get("retry-after") == ("3" if "retry-after" in spec else None)
    last = stream("error=3,status=503")[-1]
    assert json.loads(last.partition(b"data: ")[2]) == {
        "event_type": "error",
        "error": {"code": "unavailable", "message": "The model is overloaded. Please try again later."},
    }


def stream(spec: str) -> list[bytes]:
    raw = json.dumps({"model": "gemini-3.8-flash", "input": "a", "stream": True}).encode()
    headers = {"x-goog-api-key": "k", "x-simulate": spec}
    delivery = Application(0, Config()).answer(Request("POST", INTERACT, {}, headers, raw))
    return [frame.data for frame in delivery.frames]


def test_a_stream_of_an_interaction_ends_with_a_mark_unless_it_is_taken_away() -> None:
    assert stream("tokens=20")[-1] == b"event: done\ndata: [DONE]\n\n"
    assert b"step.stop" in stream("no-done")[-1]
    assert (
        b'"status":"incomplete"'
        in ask(INTERACT, {"model": "gemini-3.8-flash", "input": "a", "generation_config": {"max_output_tokens": 40}})[0]
        .frames[0]
        .data
    )
