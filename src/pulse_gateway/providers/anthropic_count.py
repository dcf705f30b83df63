"""Anthropic's count of a prompt.  Source: https://platform.claude.com/docs/en/api/messages-count-tokens (read 2026-11-24)"""

from __future__ import annotations

import msgspec

from pulse_gateway.providers.anthropic import ANTHROPIC
from pulse_gateway.providers.offer import OfferCall
from pulse_gateway.providers.one_call import OneCall
from pulse_gateway.providers.provider import UpstreamCall
from pulse_gateway.types.http import HttpRequest, Payload

__all__ = ["COUNT_TOKENS", "AnthropicCount"]


class AnthropicCount(OneCall):
    dialect = "anthropic.count_tokens"

    def forward(self, body: Payload, call: OfferCall, /) -> HttpRequest:
        """With the headers of a chat: version and betas decide what may be counted."""
        chat = ANTHROPIC.build(
            UpstreamCall(
                deployment=call.deployment,
                body=body.data,
                stream=False,
                client_headers=call.client_headers,
                trace_headers=call.trace_headers,
            )
        )
        return msgspec.structs.replace(chat, url=f"{chat.url}/count_tokens")


COUNT_TOKENS = AnthropicCount()
