"""The dialect `anthropic.count_tokens`: `POST /v1/messages/count_tokens`, a Messages request without its limit.

Source: `anthropic/types/message_count_tokens_params.py` and `message_tokens_count.py` of anthropic 2.12.0 (read 2026-11-24).
"""

from __future__ import annotations

import msgspec

from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ChatRequest
from pulse_gateway.types.http import Payload
from pulse_gateway.types.token_counts import TokenCount
from pulse_gateway.wire.anthropic_messages.codec import AnthropicMessagesCodec
from pulse_gateway.wire.codec import Envelope
from pulse_gateway.wire.foreign_json import from_client, from_provider
from pulse_gateway.wire.json_splice import remove_member, set_members
from pulse_gateway.wire.operation import EncodedPayload
from pulse_gateway.wire.token_counts.counted import Counting, counted

__all__ = ["AnthropicCountTokens"]

_ANY_LIMIT = 1  # a chat must have one


class _Limited(msgspec.Struct):
    max_tokens: msgspec.Raw = msgspec.Raw()


class _Answer(msgspec.Struct):
    input_tokens: int


_limited = msgspec.json.Decoder(_Limited).decode
_answer = msgspec.json.Decoder(_Answer).decode


class AnthropicCountTokens(Counting):
    dialect = "anthropic.count_tokens"
    chat = AnthropicMessagesCodec.dialect
    field_paths = AnthropicMessagesCodec.field_paths

    def read_envelope(self, body: Payload, *, model: str | None = None, stream: bool | None = None) -> Envelope:
        return super().read_envelope(_as_chat(body)[0], model=model)

    def decode_request(self, body: Payload, *, model: str | None = None, stream: bool | None = None) -> ChatRequest:
        chat, limited = _as_chat(body)
        request = super().decode_request(chat, model=model)
        return request if limited else msgspec.structs.replace(request, max_output_tokens=None)

    def encode_reply(self, reply: TokenCount, request: ChatRequest) -> Payload:
        return Payload(msgspec.json.encode({"input_tokens": reply.input_tokens}))

    def encode_request(self, request: ChatRequest, model: Model) -> EncodedPayload:
        bare, left_out = counted(request)
        encoded = self._chat().encode_request(bare, model)
        body = remove_member(remove_member(encoded.body, "max_tokens"), "stream")
        return EncodedPayload(Payload(body), (*left_out, *encoded.dropped))

    def decode_reply(self, answer: Payload, request: ChatRequest) -> TokenCount:
        return TokenCount(input_tokens=from_provider(_answer, answer.data).input_tokens)


def _as_chat(body: Payload) -> tuple[Payload, bool]:
    """The body as a chat, and whether the client itself gave it a limit."""
    if from_client(_limited, body.data).max_tokens:
        return body, True
    return Payload(set_members(body.data, max_tokens=_ANY_LIMIT), body.content_type), False
