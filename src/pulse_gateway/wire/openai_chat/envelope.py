"""What the gateway reads of a request, and the little it changes, while every other byte stays the client's own."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from pulse_gateway.errors import InvalidRequest, UpstreamProtocolError
from pulse_gateway.wire.codec import Envelope
from pulse_gateway.wire.json_splice import read_members, remove_member, set_members, splice
from pulse_gateway.wire.openai_chat.schema import (
    AnyObject,
    MessageHead,
    PartHead,
    UnreadMessageHead,
    UnreadPartHead,
    decode_request_head,
    decode_unread_content,
)
from pulse_gateway.wire.prompt_texts import Text, unread_text
from pulse_gateway.wire.sse import ServerSentEvent

__all__ = ["hide_usage", "read_envelope", "rewrite_request"]

# The last three are content parts that compatible vendors add.
_ATTACHMENTS = frozenset({"image_url", "input_audio", "file", "video_url", "audio_url", "document_url"})
_MAY_LACK_CONTENT = frozenset({"assistant", "function"})


def read_envelope(body: bytes, *, model: str | None = None, stream: bool | None = None) -> Envelope:
    """Check the essentials in one decode and read what the gateway acts on.

    `model` and `stream`, where the path of a route has them, win over the body.
    Raises: InvalidRequest, `param` naming the path of the bad member.
    """
    head = decode_request_head(body)
    name = model or head.model
    if not name:
        raise InvalidRequest("model: is required", param="model")
    texts: list[Text] = []
    attachments = 0
    messages: Sequence[MessageHead | UnreadMessageHead] = head.messages
    for position, message in enumerate(messages):
        content: Text | Sequence[PartHead | UnreadPartHead] | None = message.content
        if isinstance(content, Raw):
            content = decode_unread_content(content, f"messages[{position}].content")
        if isinstance(content, (str, Raw)):
            texts.append(content)
        elif content is not None:
            for place, part in enumerate(content):
                text = part.text
                if isinstance(text, Raw):
                    text = unread_text(text, f"messages[{position}].content[{place}].text")
                if text is not None:
                    texts.append(text)
                elif part.type == "text":
                    raise _required(f"messages[{position}].content[{place}].text")
                elif part.refusal is not None:
                    texts.append(part.refusal)
                elif part.type in _ATTACHMENTS:
                    attachments += 1
        elif message.role not in _MAY_LACK_CONTENT:
            raise _required(f"messages[{position}].content")
        if message.role == "tool" and message.tool_call_id is None:
            raise _required(f"messages[{position}].tool_call_id")
    options = head.stream_options
    return Envelope(
        model=name,
        stream=bool(head.stream) if stream is None else stream,
        texts=texts,
        attachments=attachments,
        max_output_tokens=head.max_tokens if head.max_completion_tokens is None else head.max_completion_tokens,
        n=head.n or 1,
        include_usage=options is not None and options.include_usage is True,
    )


def _required(path: str) -> InvalidRequest:
    return InvalidRequest(f"{path}: is required", param=path)


_ABSENT = Raw()
_NOTHING = (b"", b"null")  # an absent member, and one that says as much


class _UsageWish(Struct):
    include_usage: bool | None = None


_model_name = msgspec.json.Decoder(str | None).decode
_usage_wish = msgspec.json.Decoder(_UsageWish).decode


def rewrite_request(body: bytes, *, model: str, show_usage: bool) -> bytes:
    """`body` for `model`; a stream is made to report usage if `show_usage` and the client did not ask. `body` itself if neither.

    Takes a body that `read_envelope` has checked.
    Raises: InvalidRequest when a top-level key occurs twice: the vendor might read the other one.
    """
    members = read_members(body)
    changes: dict[str, object] = {}
    written = members.get("model")
    if written is None or _model_name(written) != model:
        changes["model"] = model
    streamed = members.get("stream")
    if show_usage and streamed is not None and bytes(streamed) == b"true":
        options = bytes(members.get("stream_options", _ABSENT))
        if options in _NOTHING:
            changes["stream_options"] = {"include_usage": True}
        elif _usage_wish(options).include_usage is not True:
            changes["stream_options"] = Raw(set_members(options, include_usage=True))
    return splice(body, members, changes)


class _UsageView(Struct):
    """`choices` empty means the extra last chunk, unless the chunk has something else to tell."""

    choices: list[AnyObject] | None = None
    usage: Raw = _ABSENT
    error: Raw = _ABSENT
    moderation: Raw = _ABSENT


_usage_view = msgspec.json.Decoder(_UsageView).decode
_SPACE = b" \t\n\r"
_USAGE_KEY = re.compile(rb'"usage"[ \t\n\r]*:[ \t\n\r]*')


def hide_usage(frame: ServerSentEvent) -> bytes:
    """`frame` without the usage that only the gateway asked for: nothing of the usage chunk, all else but that member.

    Raises: UpstreamProtocolError when the frame is no JSON object.
    """
    data = frame.data
    if b'"usage"' not in data:
        return frame.raw
    try:
        view = _usage_view(data)
        if bytes(view.usage) == b"":
            return frame.raw
        tells_more = view.choices or bytes(view.error) not in _NOTHING or bytes(view.moderation) not in _NOTHING
        if not tells_more and bytes(view.usage) != b"null":
            return b""
        span = _usage_span(data, bytes(view.usage))
        at = frame.raw.find(data)
        if span is not None and at >= 0:
            # Views, because a frame may be large and each slice of it would be a copy.
            raw = memoryview(frame.raw)
            return b"".join((raw[: at + span[0]], raw[at + span[1] :]))
        kept = remove_member(data, "usage")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidRequest) as error:
        raise UpstreamProtocolError("a chunk of the stream is not a JSON object") from error
    before, found, after = frame.raw.partition(data)
    return before + kept + after if found else _with_data(frame.raw, kept)


def _usage_span(data: bytes, value: bytes) -> tuple[int, int] | None:
    """Where the top-level `usage`, whose `value` is known, stands in `data`, with the comma and the blanks that go with it. None
    where the key occurs more than once, and only a parse can tell."""
    key = _USAGE_KEY.search(data)
    if key is None or data.count(b'"usage"') != 1 or not data.startswith(value, key.end()):
        return None
    start, stop = key.start(), key.end() + len(value)
    after = _blanks_from(data, stop)
    if data.startswith(b",", after):
        return start, _blanks_from(data, after + 1)
    while data[start - 1] in _SPACE:
        start -= 1
    return start - data.startswith(b",", start - 1), stop


def _blanks_from(data: bytes, at: int) -> int:
    while data[at] in _SPACE:
        at += 1
    return at


def _with_data(raw: bytes, data: bytes) -> bytes:
    """A frame whose data stood on several lines, with `data` in their place."""
    lines = raw.splitlines(keepends=True)
    first = next(index for index, line in enumerate(lines) if line.startswith(b"data:"))
    end = lines[first][len(lines[first].rstrip(b"\r\n")) :]
    told = [b"data: " + line + end for line in data.split(b"\n")]
    others = [line for line in lines[first:] if not line.startswith(b"data:")]
    return b"".join([*lines[:first], *told, *others])
