"""Answers of vendors that copied Chat Completions, put right for those who read them with OpenAI's own SDK.

Answers go through as they come where a client speaks the vendor's dialect. A few copies, though, say what no reader of the original
understands: Mistral's content is a list while it thinks, Perplexity's begins with what it thought between marks, xAI's finish reason is
empty beside calls, Together's is `eos`, and Ollama's streamed calls all have the index 0, so that two of them are read as one. Only these
members are said again, everything else keeps its bytes.

Source: `openai/types/chat/` and `openai/lib/streaming/chat/` of the `openai` SDK 3.54.0; the vendors' API references (read 2026-11-24)
"""

from __future__ import annotations

import msgspec

from pulse_gateway.wire.thinking_aloud import ThinkingSplitter

__all__ = ["ChatMender"]

_Members = dict[str, msgspec.Raw]
_members = msgspec.json.Decoder(_Members).decode
_choices = msgspec.json.Decoder(list[_Members]).decode
_encode = msgspec.json.Encoder().encode
_FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_text = msgspec.json.Decoder(str).decode
_CALLED, _STOPPED = msgspec.Raw(b'"tool_calls"'), msgspec.Raw(b'"stop"')


class _Call(msgspec.Struct):
    id: str | None = None
    index: int | None = None


class _Thought(msgspec.Struct):
    text: str = ""


class _Part(msgspec.Struct):
    """Of Mistral's content."""

    type: str = "text"
    text: str | None = None
    thinking: list[_Thought] | str | None = None


_parts = msgspec.json.Decoder(list[_Part]).decode
_calls = msgspec.json.Decoder(list[_Call] | None).decode
_call_members = msgspec.json.Decoder(list[_Members] | None).decode


class _Calls:
    """The calls of one choice: the number of each, by its id and by what the vendor numbers it."""

    def __init__(self) -> None:
        self.by_id: dict[str, int] = {}
        self.by_index: dict[int | None, int] = {}

    def number(self, call: _Call) -> int:
        if call.id:
            number = self.by_id.setdefault(call.id, len(self.by_id))
        else:  # a later piece
            number = self.by_index.get(call.index, max(len(self.by_id) - 1, 0))
        self.by_index[call.index] = number
        return number


class ChatMender:
    """For one answer, whole or in chunks. `aloud`: its text may begin with thinking, between marks."""

    def __init__(self, *, aloud: bool = False) -> None:
        self._calls: dict[bytes, _Calls] = {}
        self._splitters: dict[bytes, ThinkingSplitter] = {}
        self.mends_texts = aloud

    def mend(self, data: bytes) -> bytes:
        """A completion, or a chunk of one. `data` itself where nothing is wrong with it, or where it is none."""
        if not data.startswith(b"{"):
            return data
        try:
            body = _members(data)
            choices = _choices(body["choices"])
            mended = [self._mended(choice) for choice in choices]
        except (*_FAULTS, KeyError):  # whoever decodes it says what is wrong
            return data
        if not any(mended):
            return data
        body["choices"] = msgspec.Raw(_encode(choices))
        return _encode(body)

    def _mended(self, choice: _Members) -> bool:
        """Whether something of `choice` was said otherwise."""
        changed = False
        index, finish = bytes(choice.get("index", b"")), bytes(choice.get("finish_reason", b"null"))
        calls = self._calls.setdefault(index, _Calls())
        for place in ("message", "delta"):
            written = bytes(choice.get(place, b"null"))
            if written == b"null":
                continue
            said, is_piece = _members(written), place == "delta"
            mended = self._said(said, calls, numbered=is_piece)
            if self.mends_texts:  # a message is whole, also where it stands beside a piece as what was said so far
                splitter = self._splitters.setdefault(index, ThinkingSplitter()) if is_piece else ThinkingSplitter()
                mended |= _split(said, splitter, is_last=not is_piece or finish not in {b"null", b'""'})
            if mended:
                choice[place] = msgspec.Raw(_encode(said))
                changed = True
        if finish in {b'""', b'"eos"'}:
            choice["finish_reason"] = _CALLED if calls.by_id else _STOPPED
            changed = True
        return changed

    def _said(self, said: _Members, calls: _Calls, *, numbered: bool) -> bool:
        changed = False
        if bytes(said.get("content", b"")).startswith(b"["):
            thought, text = _told(_parts(said["content"]))
            said["content"] = msgspec.Raw(_encode(text if text or not numbered else None))
            if thought:
                said["reasoning_content"] = msgspec.Raw(_encode(thought))
            changed = True
        written = said.get("tool_calls", b"null")
        found = _call_members(written) or ()
        moved = False
        for call, told in zip(found, _calls(written) or (), strict=True):
            number = calls.number(told)
            if numbered and told.index != number:
                call["index"] = msgspec.Raw(b"%d" % number)
                moved = True
        if moved:
            said["tool_calls"] = msgspec.Raw(_encode(found))
        return changed or moved


def _split(said: _Members, splitter: ThinkingSplitter, *, is_last: bool) -> bool:
    """Whether `said` had thinking in its content, or something that may yet be the mark of it."""
    written = bytes(said.get("content", b"null"))
    text = _text(written) if written.startswith(b'"') else ""
    pieces = splitter.feed(text) + (splitter.finish() if is_last else [])
    thought, answer = ("".join(piece for thinks, piece in pieces if thinks is side) for side in (True, False))
    if not thought and answer == text:
        return False
    said["content"] = msgspec.Raw(_encode(answer))
    if thought:
        said["reasoning_content"] = msgspec.Raw(_encode(thought))
    return True


def _told(parts: list[_Part]) -> tuple[str, str]:
    """What a list of content thinks and what it says."""
    thought, text = [], []
    for part in parts:
        if isinstance(part.thinking, list):
            thought += [each.text for each in part.thinking]
        elif part.thinking:
            thought.append(part.thinking)
        text.append(part.text or "")
    return "".join(thought), "".join(text)
