"""Vendors that copy OpenAI's shape: one class, one row of data each."""

from __future__ import annotations

from typing import Any

import pytest

from pulse_gateway.errors import UnsupportedParameter, UpstreamOverloaded, UpstreamRejected
from pulse_gateway.providers.compatible import (
    CEREBRAS,
    DEEPSEEK,
    FIREWORKS,
    GROQ,
    LMSTUDIO,
    MISTRAL,
    OLLAMA,
    OPENAI_COMPATIBLE,
    OPENROUTER,
    PERPLEXITY,
    TOGETHER,
    VLLM,
    XAI,
    OpenAICompatible,
)
from pulse_gateway.providers.provider import UpstreamCall
from pulse_gateway.providers.registry import provider
from pulse_gateway.providers.spelling import Spelling
from pulse_gateway.types.catalog import Deployment, Model
from pulse_gateway.types.chat import ChatRequest, DocumentPart, ImagePart, Message, TextPart, Tool, ToolChoice
from pulse_gateway.types.http import Payload

ROWS = [
    CEREBRAS, DEEPSEEK, FIREWORKS, GROQ, LMSTUDIO, MISTRAL, OLLAMA, OPENAI_COMPATIBLE, OPENROUTER, PERPLEXITY, TOGETHER,
    VLLM, XAI,
]  # fmt: skip
PDF = DocumentPart(media_type="application/pdf", data="JVBERi0=")
HELLO = (Message("user", (TextPart("hi"),), path="messages[0]"),)


def deployment(row: OpenAICompatible, *, base_url: str = "", key: str | None = "k") -> Deployment:
    model = Model(provider=row.kind, name="m")
    return Deployment(provider=row.kind, kind=row.kind, model=model, base_url=base_url, key=key)


def built(row: OpenAICompatible, body: bytes, **where: Any) -> tuple[str, dict[str, str], bytes]:
    sent = row.build(UpstreamCall(deployment=deployment(row, **where), body=body, stream=False))
    return sent.url, dict(sent.headers), sent.body


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.kind)
def test_every_row_is_registered_and_leads_somewhere(row: OpenAICompatible) -> None:
    assert provider(row.kind) is row
    assert row.dialect == ("openai.chat.aloud" if row.kind == "perplexity" else "openai.chat")
    url, headers, body = built(row, b'{"model":"m"}')
    assert url == f"{row.base_url}/chat/completions"
    assert headers["authorization"] == "Bearer k"
    assert body == b'{"model":"m"}'
    assert bool(row.base_url) is (row is not OPENAI_COMPATIBLE)
    row.check(ChatRequest(model="m", messages=HELLO), deployment(row))


def test_any_base_url_and_no_key() -> None:
    url, headers, _ = built(OPENAI_COMPATIBLE, b"{}", base_url="http://localhost:1/api/", key=None)
    assert url == "http://localhost:1/api/chat/completions"
    assert "authorization" not in headers


def test_a_query_stays_behind_the_path() -> None:
    url, _, _ = built(OPENAI_COMPATIBLE, b"{}", base_url="https://x.example/deployments/d?api-version=1")
    assert url == "https://x.example/deployments/d/chat/completions?api-version=1"


def test_a_vendor_with_a_key_header_of_its_own() -> None:
    row = OpenAICompatible(kind="own", base_url="https://x.example", key_header="api-key", key_prefix="")
    _, headers, _ = built(row, b"{}")
    assert headers["api-key"] == "k"
    assert "authorization" not in headers


def test_a_probe_lists_the_models() -> None:
    sent = OPENAI_COMPATIBLE.probe("https://x.example/v1/", "k", (("x-own", "1"),))
    assert (sent.method, sent.url) == ("GET", "https://x.example/v1/models")
    assert sent.headers == (("authorization", "Bearer k"), ("x-own", "1"))
    assert OLLAMA.probe(OLLAMA.base_url, None, ()).headers == ()


def test_mistrals_spelling() -> None:
    body = b'{"model":"m", "seed": 7,"stream_options":{"include_usage":true},"user":"u","max_completion_tokens" :5, "x":1.0}'
    _, _, sent = built(MISTRAL, body)
    assert sent == b'{"model":"m", "x":1.0,"random_seed":7,"max_tokens":5}'


def test_words_inside_a_prompt_are_no_members() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"set \\"seed\\" and \\"stream_options\\""}]}'
    assert built(MISTRAL, body)[2] == body


@pytest.mark.parametrize(
    ("row", "fields", "param"),
    [
        (GROQ, {"logprobs": True}, "logprobs"),
        (GROQ, {"top_logprobs": 2, "logprobs": None}, "top_logprobs"),
        (GROQ, {"n": 2}, "n"),
        (GROQ, {"messages": (Message("user", (), name="ann", path="messages[0]"),)}, "messages[0]"),
        (MISTRAL, {"tools": (Tool("f", strict=True),)}, "tools"),
        (XAI, {"tools": (Tool("f", strict=True),)}, "tools"),
        (CEREBRAS, {"presence_penalty": 0.5}, "presence_penalty"),
        (PERPLEXITY, {"tools": (Tool("f"),)}, "tools"),
        (PERPLEXITY, {"messages": (*HELLO, Message("user", (PDF,), path="messages[1]"))}, "messages[1]"),
        (VLLM, {"messages": (*HELLO, Message("user", (PDF,), path="messages[1]"))}, "messages[1]"),
        (DEEPSEEK, {"messages": (*HELLO, Message("user", (ImagePart(url="u"),), path="messages[1]"))}, "messages[1]"),
        (OLLAMA, {"tool_choice": ToolChoice("required")}, "tool_choice"),
        (OLLAMA, {"tool_choice": ToolChoice("none")}, "tool_choice"),
    ],
)
def test_what_a_vendor_lacks_is_refused_by_its_neutral_name(
    row: OpenAICompatible, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        row.check(ChatRequest(**{"model": "m", "messages": HELLO, **fields}), deployment(row))
    assert caught.value.param == param
    assert f"{row.kind}:m" in caught.value.message


def test_values_that_ask_for_nothing_are_not_refused() -> None:
    GROQ.check(ChatRequest(model="m", messages=HELLO, n=1, logprobs=False), deployment(GROQ))
    OLLAMA.check(ChatRequest(model="m", messages=HELLO, tool_choice=ToolChoice("auto")), deployment(OLLAMA))
    seen = (*HELLO, Message("user", (ImagePart(url="u"), DocumentPart(text="t")), path="messages[1]"))
    PERPLEXITY.check(ChatRequest(model="m", messages=seen), deployment(PERPLEXITY))
    MISTRAL.check(ChatRequest(model="m", messages=HELLO, tools=(Tool("f"),), seed=1), deployment(MISTRAL))


def test_a_vendors_own_statuses() -> None:
    assert type(GROQ.error(498, (), b"{}")) is UpstreamOverloaded
    assert type(VLLM.error(498, (), b"{}")) is UpstreamRejected


def test_openrouter_learns_who_is_asking() -> None:
    assert OPENROUTER.passed_headers == {"http-referer", "x-title"}


@pytest.mark.parametrize(
    ("row", "spoken"),
    [(GROQ, "openai.responses"), (XAI, "openai.responses"), (MISTRAL, "openai.chat"), (DEEPSEEK, "openai.chat")],
    ids=lambda value: getattr(value, "kind", value),
)
def test_a_client_of_responses_is_passed_on_to_those_that_speak_it(row: OpenAICompatible, spoken: str) -> None:
    def decoded() -> ChatRequest:
        raise AssertionError("decoded")

    assert row.dialect_of("openai.responses", decoded, deployment(row)) == spoken
    assert row.dialect_of("anthropic.messages", decoded, deployment(row)) == "openai.chat"


@pytest.mark.parametrize(
    ("extra", "dialect"),
    [
        ({}, "openai.responses"),
        ({"truncation": "auto"}, "openai.responses"),
        ({"previous_response_id": "resp_1"}, "openai.chat"),
        ({"store": True}, "openai.chat"),
        ({"input[0]": {"type": "item_reference", "id": "rs_1"}}, "openai.chat"),
    ],
)
def test_a_vendor_that_remembers_nothing_is_not_asked_to(extra: dict[str, Any], dialect: str) -> None:
    """It would pass over what it does not know; said in the dialect of chat, the request is refused by name."""
    asked = ChatRequest(model="m", messages=(), extra=extra)
    assert OLLAMA.dialect_of("openai.responses", lambda: asked, deployment(OLLAMA)) == dialect


def test_a_row_may_speak_elsewhere_and_refuse_members_of_an_operation_by_name() -> None:
    row = OpenAICompatible(
        kind="acme",
        base_url="https://acme.test",
        paths={"openai.chat": "/v2/talk", "models": "/v2/list"},
        spellings={"openai.embeddings": Spelling(refuses=frozenset({"dimensions", "truncate"}))},
    )
    assert built(row, b"{}")[0] == "https://acme.test/v2/talk"
    assert row.probe("https://acme.test", None, ()).url == "https://acme.test/v2/list"
    plain = Payload(b'{"input":"dimensions","truncate":false}')
    assert row.spelled("openai.embeddings", plain, deployment(row)) == plain
    with pytest.raises(UnsupportedParameter) as refused:
        row.spelled("openai.embeddings", Payload(b'{"input":"a","dimensions":2}'), deployment(row))
    assert refused.value.param == "dimensions"
