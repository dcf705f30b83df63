"""Chat Completions of a vendor whose models think aloud: what the text begins with, between marks, is reasoning.

Source: https://docs.perplexity.ai/docs/sonar/models/sonar-reasoning-pro (read 2026-11-24)
"""

from __future__ import annotations

from pulse_gateway.types.chat import ChatReply
from pulse_gateway.types.events import Event
from pulse_gateway.wire.openai_chat.codec import OpenAIChatCodec
from pulse_gateway.wire.openai_chat.mending import ChatMender
from pulse_gateway.wire.openai_chat.reply import decode_reply
from pulse_gateway.wire.openai_chat.stream import ChatStreamDecoder
from pulse_gateway.wire.sse import ServerSentEvent

__all__ = ["AloudChatCodec"]


class _AloudStreamDecoder(ChatStreamDecoder):
    """Split frame by frame; what is held back as the beginning of a mark comes with a later one, at the latest with the finish reason."""

    def __init__(self) -> None:
        super().__init__()
        self._mender = ChatMender(aloud=True)

    def decode(self, frame: ServerSentEvent) -> list[Event]:
        data = self._mender.mend(frame.data)
        return super().decode(frame if data is frame.data else ServerSentEvent(data, frame.event, frame.raw))

    def plain_text(self, frame: ServerSentEvent) -> str | None:
        """Of no frame is it known before it is split."""
        return None


def _decode_reply(body: bytes) -> ChatReply:
    return decode_reply(ChatMender(aloud=True).mend(body))


class AloudChatCodec(OpenAIChatCodec):
    """What is asked is Chat Completions, so a client that speaks it is passed through; only answers are read otherwise."""

    decode_reply = staticmethod(_decode_reply)
    decoder = _AloudStreamDecoder
