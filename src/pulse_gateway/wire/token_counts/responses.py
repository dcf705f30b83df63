"""The dialect `openai.responses.input_tokens`: `POST /v1/responses/input_tokens`, the prompt of a Responses request.

Source: `openai/types/responses/input_token_count_params.py` and `input_token_count_response.py` of openai 3.54.0 (read 2026-11-24).
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ChatRequest
from pulse_gateway.types.http import Payload
from pulse_gateway.types.token_counts import TokenCount
from pulse_gateway.wire.foreign_json import from_provider
from pulse_gateway.wire.openai_responses import OpenAIResponsesCodec
from pulse_gateway.wire.operation import EncodedPayload
from pulse_gateway.wire.token_counts.counted import Counting, counted

__all__ = ["ResponsesInputTokens"]

_COUNTED = frozenset(
    {"model", "input", "instructions", "parallel_tool_calls", "reasoning", "text", "tool_choice", "tools"}
)
"""What an encoded Responses request may say here; of all else none changes the count."""


class _Answer(msgspec.Struct):
    input_tokens: int


_members = msgspec.json.Decoder(dict[str, Raw]).decode
_answer = msgspec.json.Decoder(_Answer).decode


class ResponsesInputTokens(Counting):
    dialect = "openai.responses.input_tokens"
    chat = OpenAIResponsesCodec.dialect
    field_paths = OpenAIResponsesCodec.field_paths

    def encode_reply(self, reply: TokenCount, request: ChatRequest) -> Payload:
        body = {"object": "response.input_tokens", "input_tokens": reply.input_tokens}
        return Payload(msgspec.json.encode(body))

    def encode_request(self, request: ChatRequest, model: Model) -> EncodedPayload:
        bare, left_out = counted(request)
        encoded = self._chat().encode_request(bare, model)
        body = {name: value for name, value in _members(encoded.body).items() if name in _COUNTED}
        return EncodedPayload(Payload(msgspec.json.encode(body)), (*left_out, *encoded.dropped))

    def decode_reply(self, answer: Payload, request: ChatRequest) -> TokenCount:
        return TokenCount(input_tokens=from_provider(_answer, answer.data).input_tokens)
