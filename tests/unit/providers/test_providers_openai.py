"""How OpenAI is called, and what its models refuse on Chat Completions."""

from __future__ import annotations

from typing import Any

import pytest

from pulse_gateway.errors import UnsupportedParameter, UpstreamQuotaExhausted
from pulse_gateway.providers.openai import OPENAI, OpenAI
from pulse_gateway.providers.provider import Provider, UpstreamCall
from pulse_gateway.providers.registry import provider
from pulse_gateway.types.catalog import Capabilities, Deployment, Model
from pulse_gateway.types.chat import ChatRequest, Message, ReasoningControl, TextPart, Tool
from pulse_gateway.types.http import Headers

HELLO = (Message("user", (TextPart("hi"),), path="messages[0]"),)
HIGH = ReasoningControl(effort="high")
TOOLS = (Tool("f"),)


def deployment(base_url: str = "", headers: Headers = (), key: str | None = "sk-1", **capabilities: Any) -> Deployment:
    model = Model(provider="openai", name="gpt-x", capabilities=Capabilities(**capabilities))
    return Deployment(provider="openai", kind="openai", model=model, base_url=base_url, key=key, headers=headers)


def request(**fields: Any) -> ChatRequest:
    return ChatRequest(model="gpt-x", messages=HELLO, **fields)


def test_the_registry_knows_it() -> None:
    known: Provider = provider("openai")
    assert known is OPENAI
    assert (known.kind, known.dialect) == ("openai", "openai.chat")
    assert known.passed_headers == {"openai-organization", "openai-project", "openai-beta"}


def test_a_call() -> None:
    sent = OPENAI.build(
        UpstreamCall(
            deployment=deployment(),
            body=b'{"seed":1}',
            stream=False,
            client_headers=(("openai-project", "p"),),
            trace_headers=(("traceparent", "00-1"), ("x-request-id", "r")),
        )
    )
    assert (sent.method, sent.url) == ("POST", "https://api.openai.com/v1/chat/completions")
    assert dict(sent.headers) == {
        "authorization": "Bearer sk-1",
        "content-type": "application/json",
        "accept": "application/json",
        "openai-project": "p",
        "traceparent": "00-1",
        "x-request-id": "r",
    }
    assert sent.body == b'{"seed":1}'


def test_a_streamed_call_elsewhere_with_headers_of_its_own() -> None:
    sent = OPENAI.build(
        UpstreamCall(
            deployment=deployment(
                "https://eu.api.openai.com/v1/", (("OpenAI-Project", "ours"), ("Authorization", "Bearer other"))
            ),
            body=b"{}",
            stream=True,
            client_headers=(("openai-project", "theirs"),),
        )
    )
    assert sent.url == "https://eu.api.openai.com/v1/chat/completions"
    headers = dict(sent.headers)
    assert headers["accept"] == "text/event-stream"
    assert headers["openai-project"] == "ours"
    assert headers["authorization"] == "Bearer other"
    assert len(headers) == len(sent.headers)


@pytest.mark.parametrize(
    ("capabilities", "fields", "param"),
    [
        ({"chat_tools": False}, {"tools": TOOLS}, "tools"),
        ({"chat_tools_with_reasoning": False}, {"tools": TOOLS, "reasoning": HIGH}, "reasoning"),
        (
            {"chat_tools_with_reasoning": False},
            {"tools": TOOLS, "reasoning": ReasoningControl(budget_tokens=100)},
            "reasoning",
        ),
        ({"sampling_with_reasoning": False}, {"temperature": 0.5, "reasoning": HIGH}, "temperature"),
        ({"sampling_with_reasoning": False}, {"top_p": 0.5, "reasoning": HIGH}, "top_p"),
        ({"sampling_with_reasoning": False}, {"logprobs": True, "reasoning": HIGH}, "logprobs"),
    ],
)
def test_what_a_model_lacks_on_chat_completions_is_refused_where_there_is_nothing_else(
    capabilities: dict[str, Any], fields: dict[str, Any], param: str
) -> None:
    only_chat = OpenAI(kind="openai", dialects=frozenset({"openai.chat"}))
    with pytest.raises(UnsupportedParameter) as caught:
        only_chat.check(request(**fields), deployment(**capabilities))
    assert caught.value.param == param
    assert "openai:gpt-x" in caught.value.message


NONE = ReasoningControl(effort="none")


@pytest.mark.parametrize("client", ["openai.chat", "anthropic.messages", "gemini", None])
@pytest.mark.parametrize(
    ("capabilities", "fields", "dialect"),
    [
        ({}, {"tools": TOOLS, "reasoning": HIGH}, "openai.chat"),
        ({"chat_tools": False}, {}, "openai.chat"),
        ({"chat_completions": False}, {}, "openai.responses"),
        ({"chat_tools": False}, {"tools": TOOLS, "reasoning": NONE}, "openai.responses"),
        ({"chat_tools_with_reasoning": False}, {"reasoning": HIGH}, "openai.chat"),
        ({"chat_tools_with_reasoning": False}, {"tools": TOOLS, "reasoning": HIGH}, "openai.responses"),
        ({"chat_tools_with_reasoning": False}, {"tools": TOOLS, "reasoning": NONE}, "openai.chat"),
        ({"chat_tools_with_reasoning": False}, {"tools": TOOLS}, "openai.responses"),
        ({"chat_tools_with_reasoning": False}, {"tools": TOOLS, "stop": ("END",)}, "openai.chat"),
        ({"chat_tools_with_reasoning": False}, {"tools": TOOLS, "extra": {"logit_bias": {"1": 1}}}, "openai.chat"),
        ({"chat_tools_with_reasoning": False}, {"tools": TOOLS, "extra": {"verbosity": "low"}}, "openai.responses"),
    ],
)
def test_what_a_model_takes_on_responses_alone_goes_there(
    client: str | None, capabilities: dict[str, Any], fields: dict[str, Any], dialect: str
) -> None:
    assert OPENAI.dialect_of(client, lambda: request(**fields), deployment(**capabilities)) == dialect


def test_a_request_is_not_decoded_to_choose_where_there_is_no_choice() -> None:
    def decoded() -> ChatRequest:
        raise AssertionError("decoded")

    assert OPENAI.dialect_of("openai.chat", decoded, deployment()) == "openai.chat"
    assert OPENAI.dialect_of("openai.responses", decoded, deployment(chat_tools=False)) == "openai.responses"


def test_a_call_of_responses_goes_to_its_path() -> None:
    sent = OPENAI.build(UpstreamCall(deployment=deployment(), body=b"{}", stream=False, dialect="openai.responses"))
    assert sent.url == "https://api.openai.com/v1/responses"


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": TOOLS},
        {"tools": TOOLS, "reasoning": HIGH},
        {"tools": TOOLS, "reasoning": ReasoningControl(effort="none")},
        {"tools": TOOLS, "reasoning": ReasoningControl(budget_tokens=0)},
        {"tools": TOOLS, "reasoning": ReasoningControl(adaptive=True, budget_tokens=100)},
        {"reasoning": HIGH},
        {"temperature": 0.5, "reasoning": ReasoningControl(effort="none")},
    ],
)
def test_what_it_can_do_is_not_refused(fields: dict[str, Any]) -> None:
    OPENAI.check(request(**fields), deployment(chat_tools_with_reasoning=False))


def test_its_errors() -> None:
    error = OPENAI.error(
        429, (), b'{"error":{"message":"m","type":"insufficient_quota","code":"credit_balance_exhausted"}}'
    )
    assert type(error) is UpstreamQuotaExhausted
