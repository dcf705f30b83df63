"""Frames that differ from one another in nothing but their text, known by their bytes alone. Pure.

Nearly all frames of a streamed answer are of this kind: the same bytes, and between them a JSON string that is new each time. One
of them is understood by decoding it; the others are recognised by what surrounds that string, many at once where they arrive
together, without parsing what is known already.

Why that is exact: where one JSON string stands in a JSON text, any other can stand in its place, and nothing else of the text means
anything else. That the string is the one that was read as the frame's text is not guessed: either there is no other that could be, or it
is tried with another string in its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import msgspec

__all__ = ["NO_STRING", "Learner", "TextRun", "learn"]

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
# OpenAI's padding against those who would guess a text by the sizes of its frames: as new each time as the text itself.
_PADDING_KEY = b'"obfuscation"'
_PADDING = re.compile(_PADDING_KEY + rb'[ \t]*:[ \t]*("[A-Za-z0-9]*")')
_string = msgspec.json.Decoder(str).decode
_strings = msgspec.json.Decoder(list[str]).decode
_pairs = msgspec.json.Decoder(list[tuple[str, str]]).decode
_encode = msgspec.json.Encoder().encode
_OUR_TEXT = "a text of our own 1f0c"
_TEXT, _PAD = b'"a text of our own 1f0c"', b'"padding1f0c"'
NO_STRING = (msgspec.DecodeError, UnicodeDecodeError)
_MOST_PLACES = 8
_VAIN_RUNS = 4
_LONGEST_LEARNT_BYTES = 4_096

_Around = tuple[bytes, bytes, bytes]
"""What stands before the first string of a frame, between the two (empty: it has one), and after the last."""


class TextRun:
    """Frames with the same bytes around their text, and their padding if they have any: what such a frame has between `start` and
    `end` is its token, and `text_in` a token is a string. A frame with something else in that place leaves no token when both are
    taken away, and then `text_in` raises one of `NO_STRING`. One that lacks the `start` or the `end` may leave one all the same, with
    white space for the rest, but is not by `around_bytes` longer than that.

    `as_is`: the client gets the frame itself; else what is `said` for its token.
    """

    __slots__ = (
        "_between", "_blank", "_close", "_middle", "_shown", "_text_first", "around_bytes", "as_is", "end", "most_of_one", "start",
        "text_in",
    )  # fmt: skip

    def __init__(self, around: _Around, shown: _Around, *, text_first: bool) -> None:
        self.start, self._middle, self.end = around
        self.around_bytes = len(self.start) + len(self.end)
        self.text_in: Callable[[bytes], str] = self._padded if self._middle else _string
        self.as_is = shown == around
        self._shown = shown
        self._text_first = text_first
        self._blank = b"\r\n\r\n" if self.end.endswith(b"\r\n\r\n") else b"\n\n"
        self._close = self.end.removesuffix(self._blank)
        self._between = self.end + self.start
        self.most_of_one = 2 * self.around_bytes  # bytes of a slice that is tried as one frame first

    def said(self, token: bytes) -> bytes:
        start, middle, end = self._shown
        return start + (token if middle == self._middle else token.replace(self._middle, middle)) + end

    def head_of(self, data: bytes) -> int:
        """How many bytes of `data`, from its first on, may be such frames: up to the last that ends like one. 0: none."""
        if data[: len(self.start)] != self.start:
            return 0
        return len(data) if data[-len(self.end) :] == self.end else data.rfind(self.end) + len(self.end)

    def read(self, data: bytes) -> tuple[str, bytes] | None:
        """The text of `data` and what the client gets for it, where it is one such frame or several, and nothing else."""
        tokens = self._tokens(data)
        if tokens is None or (texts := self._texts_in(tokens)) is None:
            return None
        return "".join(texts), data if self.as_is else b"".join([self.said(token) for token in tokens])

    def text_of(self, frame: bytes) -> str | None:
        """The text of one frame; None where it is another."""
        token = frame[len(self.start) : -len(self.end)]
        if self.start + token + self.end != frame:
            return None
        try:
            return self.text_in(token)
        except NO_STRING:
            return None

    def texts(self, data: bytes) -> list[str] | None:
        """The text of each frame in `data`, likewise."""
        tokens = self._tokens(data)
        return None if tokens is None else self._texts_in(tokens)

    def _tokens(self, data: bytes) -> list[bytes] | None:
        """What each frame has between `start` and `end`; None where something else is among them."""
        first, last = len(self.start), -len(self._close)
        # Split by the blank lines alone: long separators are slow to look for, and quick to put in again.
        tokens = [frame[first:last] for frame in data[: -len(self._blank)].split(self._blank)]
        return tokens if self.start + self._between.join(tokens) + self.end == data else None

    def _texts_in(self, tokens: list[bytes]) -> list[str] | None:
        middle = self._middle
        # No string goes over a line, so none begins in one frame and ends in another.
        try:
            if not middle:
                texts = _strings(b"[%b]" % b"\n,\n".join(tokens))
            else:
                pairs = _pairs(b"[[%b]]" % b"\n],[\n".join(tokens).replace(middle, b"\n,\n"))
                texts = [pair[0 if self._text_first else 1] for pair in pairs]
        except NO_STRING:
            return None
        return texts if len(texts) == len(tokens) else None

    def _padded(self, token: bytes) -> str:
        first, found, second = token.partition(self._middle)
        if not found:
            raise msgspec.DecodeError("there is no second string")
        one, other = _string(first), _string(second)
        return one if self._text_first else other


class Learner:
    """Learns a run from each frame that is the first of its kind, until nothing comes of it. `understand` is as `learn` has it.

    `given_up`: what this vendor sends is always different.
    """

    __slots__ = ("_heard", "_understand", "_vain_runs", "given_up")

    def __init__(self, understand: Callable[[bytes], tuple[str | None, bytes]]) -> None:
        self._understand = understand
        self._vain_runs = 0  # so many in a row that no later frame had
        self._heard = 0
        self.given_up = False

    def learn(self, frame: bytes, text: str, shown: bytes, heard: int) -> TextRun | None:
        """`heard`: the characters that the stream has said before `frame`."""
        self._vain_runs = self._vain_runs + 1 if heard == self._heard else 0
        self._heard = heard + len(text)
        self.given_up = self._vain_runs >= _VAIN_RUNS
        if self.given_up or len(frame) > _LONGEST_LEARNT_BYTES:
            return None
        return learn(frame, text, shown, self._understand)


def learn(
    frame: bytes, text: str, shown: bytes, understand: Callable[[bytes], tuple[str | None, bytes]]
) -> TextRun | None:
    """From `frame`, which was understood as one that says `text` and nothing else, and for which the client gets `shown`. None: its like
    cannot be told by bytes.

    `understand` does the same with another frame: its text, None where it says something else, and what the client gets for it.
    """
    token = _encode(text)
    if b"\\" not in frame and _PADDING_KEY not in frame and frame.count(token) == 1 and shown.count(token) == 1:
        # Without an escape in all the frame there is one way to write the text, and one place where that stands.
        start, _, end = frame.partition(token)
        if shown is frame:
            return TextRun((start, b"", end), (start, b"", end), text_first=True)
        shown_start, _, shown_end = shown.partition(token)
        return TextRun((start, b"", end), (shown_start, b"", shown_end), text_first=True)
    pad = None
    if _PADDING_KEY in frame:
        pads = [found.span(1) for found in _PADDING.finditer(frame)]
        if len(pads) != 1:
            return None
        pad = pads[0]
    for place in _places(frame, text):
        spans = [(place, _TEXT)] if pad is None else sorted([(place, _TEXT), (pad, _PAD)])
        tried = _with(frame, spans)
        said, told = understand(tried)
        if said != _OUR_TEXT:
            continue
        tokens = [token for _, token in spans]
        around = _around(tried, tokens)
        seen = around if told is tried else _around(told, tokens)
        return None if around is None or seen is None else TextRun(around, seen, text_first=tokens[0] is _TEXT)
    return None


def _places(frame: bytes, text: str) -> Iterator[tuple[int, int]]:
    """Where a string stands that says `text`."""
    token = _encode(text)
    at = frame.find(token)
    if at < 0:  # written otherwise, with escapes
        for found in _STRING.finditer(frame):
            if b"\\" in found.group() and _says(found.group(), text):
                yield found.span()
        return
    for _ in range(_MOST_PLACES):
        yield at, at + len(token)
        at = frame.find(token, at + 1)
        if at < 0:
            return


def _says(token: bytes, text: str) -> bool:
    try:
        return _string(token) == text
    except NO_STRING:
        return False


def _with(frame: bytes, spans: list[tuple[tuple[int, int], bytes]]) -> bytes:
    pieces, at = [], 0
    for (start, stop), token in spans:
        pieces += [frame[at:start], token]
        at = stop
    return b"".join([*pieces, frame[at:]])


def _around(frame: bytes, tokens: list[bytes]) -> _Around | None:
    """What stands around `tokens`, each of which `frame` has once, in this order. None: it has not."""
    for token in tokens:
        if frame.count(token) != 1:
            return None
    start, _, rest = frame.partition(tokens[0])
    if len(tokens) == 1:
        return start, b"", rest
    middle, found, end = rest.partition(tokens[1])
    return (start, middle, end) if found else None
