"""Methods of Google's models beside `generateContent`: `:batchEmbedContents`, `:embedContent`, `:countTokens`."""

from __future__ import annotations

import msgspec

from pulse_gateway.providers.google import GOOGLE
from pulse_gateway.providers.offer import OfferCall
from pulse_gateway.providers.one_call import OneCall
from pulse_gateway.providers.provider import Provider, UpstreamCall
from pulse_gateway.types.http import HttpRequest, Payload

__all__ = ["BATCH_EMBED_CONTENTS", "COUNT_TOKENS", "EMBED_CONTENT", "GoogleMethod"]


class GoogleMethod(OneCall):
    """`method` of a model, in its `dialect`; `vendor` knows where models are."""

    def __init__(self, vendor: Provider, method: str, dialect: str) -> None:
        self.dialect = dialect
        self._vendor, self._method = vendor, method

    def forward(self, body: Payload, call: OfferCall, /) -> HttpRequest:
        chat = self._vendor.build(
            UpstreamCall(
                deployment=call.deployment,
                body=body.data,
                stream=False,
                client_headers=call.client_headers,
                trace_headers=call.trace_headers,
            )
        )
        return msgspec.structs.replace(chat, url=f"{chat.url.rpartition(':')[0]}:{self._method}")


BATCH_EMBED_CONTENTS = GoogleMethod(GOOGLE, "batchEmbedContents", "gemini.batch_embed_contents")
EMBED_CONTENT = GoogleMethod(GOOGLE, "embedContent", "gemini.embed_content")
COUNT_TOKENS = GoogleMethod(GOOGLE, "countTokens", "gemini.count_tokens")
