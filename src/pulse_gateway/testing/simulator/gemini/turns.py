"""The conversation: roles, function calls and their answers, thought signatures, media.

Source: https://ai.google.dev/gemini-api/docs/function-calling and /thought-signatures (read 2026-11-24)
"""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b

import msgspec

from pulse_gateway.testing.simulator.dice import decode_base64, is_seal
from pulse_gateway.testing.simulator.gemini.errors import refuse
from pulse_gateway.testing.simulator.gemini.models import Traits
from pulse_gateway.testing.simulator.gemini.schema import Blob, Content, FileData, FunctionCall, Part
from pulse_gateway.testing.simulator.media import image_type
from pulse_gateway.testing.simulator.prompt import Media, ToolResult
from pulse_gateway.testing.simulator.tokens import MEDIA_TOKENS, Tally

__all__ = ["Conversation", "call_parts", "picture_parts"]

_DUMMY = "skip_thought_signature_validator"
_DUMMIES = frozenset({_DUMMY, "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="})  # as it is, and as bytes in base64
_IMAGES = frozenset({"image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"})
_KINDS = {"image": "image", "audio": "audio", "video": "video", "text": "document"}
_DOCUMENTS = frozenset(
    {
        "application/pdf", "application/json", "application/rtf", "application/xml", "application/javascript",
        "application/x-javascript", "application/x-python",
    }
)  # fmt: skip
_CANONICAL = msgspec.json.Encoder(order="sorted")
_DATA = (
    "text", "inline_data", "file_data", "function_call", "function_response", "executable_code", "code_execution_result",
    "tool_call", "tool_response",
)  # fmt: skip


def call_parts(name: str, args: dict[str, object]) -> tuple[str, str, str]:
    """What a signature on a function call vouches for."""
    return "call", name, _CANONICAL.encode(args).decode()


def picture_parts(data: bytes) -> tuple[str, str]:
    """What a signature on a picture vouches for."""
    return "picture", blake2b(data, digest_size=16).hexdigest()


class Conversation:
    """Reads the contents once, in order, counting into `tally`."""

    def __init__(self, tally: Tally, seed: int, traits: Traits, *, needs_roles: bool = False) -> None:
        self._tally = tally
        self._seed = seed
        self._traits = traits
        self._roles = {"user", "model"} if needs_roles else {"user", "model", ""}
        self.system = ""
        self.last_user = ""
        self.media: list[Media] = []
        self.results: list[ToolResult] = []  # of the last turn

    def read_system(self, content: Content) -> None:
        """Raises: Refusal for anything but text."""
        if any(part.text is None for part in content.parts):
            raise refuse("* GenerateContentRequest.system_instruction: only text parts are allowed.")
        self.system = "\n".join(part.text or "" for part in content.parts)
        self._tally.text(self.system)

    @property
    def modalities(self) -> dict[str, int]:
        """Tokens of whatever is not text."""
        counts = Counter(media.kind.upper() for media in self.media)
        return {name: counts[name] * MEDIA_TOKENS for name in ("IMAGE", "VIDEO", "AUDIO", "DOCUMENT") if counts[name]}

    def read(self, contents: list[Content], *, whole: bool = True) -> None:
        """`whole` contents are ready to be answered; others are only counted.

        Raises: Refusal.
        """
        if not contents:
            raise refuse("* GenerateContentRequest.contents: contents is not specified")
        current = 0  # where the current turn starts: at the last content a person wrote
        for at, content in enumerate(contents):
            path = f"contents[{at}]"
            if content.role not in self._roles:
                raise refuse("Please use a valid role: user, model.")
            if not content.parts:
                raise refuse(f"* GenerateContentRequest.{path}.parts: contents.parts must not be empty.")
            if content.role != "model" and any(part.function_response is None for part in content.parts):
                current = at
        if whole and contents[-1].role == "model":
            raise refuse("Please ensure that multiturn requests end with a user role or the role field is empty.")
        waiting: list[FunctionCall] = []
        for at, content in enumerate(contents):
            path = f"contents[{at}]"
            if content.role == "model":
                if waiting:
                    raise refuse(
                        "Please ensure that function response turn comes immediately after a function call turn."
                    )
                waiting = self._model(content, path, is_current=at > current)
            else:
                self._user(content, path, waiting)
                waiting = []

    def _model(self, content: Content, path: str, *, is_current: bool) -> list[FunctionCall]:
        calls: list[FunctionCall] = []
        for index, part in enumerate(content.parts):
            where = f"{path}.parts[{index}]"
            _check_part(part, where)
            if part.function_response is not None:
                raise refuse(f"* GenerateContentRequest.{where}: function responses belong to the user role.")
            if part.text is not None:
                self._tally.text(part.text)
            if (call := part.function_call) is not None:
                if not calls:  # of parallel calls only the first carries a signature
                    self._check_signature(part, call, where, is_current=is_current)
                calls.append(call)
                self._tally.text(call.name)
                self._tally.json(call.args)
            if (made := self._look(part, where)) is not None and not part.thought:
                self._check_picture(part, made, where)
        return calls

    def _check_signature(self, part: Part, call: FunctionCall, path: str, *, is_current: bool) -> None:
        signature = part.thought_signature
        if signature is None:
            if self._traits.needs_signatures and is_current:
                raise refuse(
                    "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                    f"work correctly. Function call `{call.name}`, position {path}."
                )
        elif signature not in _DUMMIES and not is_seal(self._seed, signature, *call_parts(call.name, call.args)):
            raise refuse("Invalid/Corrupted thought signature.")

    def _check_picture(self, part: Part, made: bytes, path: str) -> None:
        """A picture that the model is said to have made."""
        signature = part.thought_signature
        if signature is None:
            if self._traits.needs_signatures and self._traits.makes == "image":
                raise refuse(f"Image part is missing a thought_signature in {path}.")
        elif signature not in _DUMMIES and not is_seal(self._seed, signature, *picture_parts(made)):
            raise refuse("Invalid/Corrupted thought signature.")

    def _user(self, content: Content, path: str, waiting: list[FunctionCall]) -> None:
        texts: list[str] = []
        self.results = []
        answered: list[str] = []
        for index, part in enumerate(content.parts):
            where = f"{path}.parts[{index}]"
            _check_part(part, where)
            if part.function_call is not None:
                raise refuse(f"* GenerateContentRequest.{where}: function calls belong to the model role.")
            if part.text is not None:
                self._tally.text(part.text)
                texts.append(part.text)
            if (response := part.function_response) is not None:
                answered.append(response.name)
                self._check_response(response.name, response.id, waiting, where)
                self._tally.text(response.name)
                self._tally.json(response.response)
                said = msgspec.json.encode(response.response).decode()
                self.results.append(ToolResult(response.name, said))
                for inner in response.parts:
                    self._look(
                        Part(inline_data=inner.inline_data, file_data=inner.file_data), f"{where}.functionResponse"
                    )
            self._look(part, where)
        if len(answered) != len(waiting):
            if answered and not waiting:
                raise refuse("Please ensure that function response turn comes immediately after a function call turn.")
            raise refuse(
                "Please ensure that the number of function response parts is equal to the number of function call parts of "
                "the function call turn."
            )
        self.last_user = "\n".join(texts) or self.last_user

    def _check_response(self, name: str, response_id: str | None, waiting: list[FunctionCall], path: str) -> None:
        for call in waiting:
            if call.name == name and (response_id is None or call.id is None or call.id == response_id):
                return
        if waiting:
            raise refuse(
                f"* GenerateContentRequest.{path}.function_response: `{name}` does not match any function call of the "
                "previous turn."
            )

    def _look(self, part: Part, path: str) -> bytes | None:
        """The bytes of a picture, if it is one."""
        if part.file_data is not None:
            self._file(part.file_data, path)
        return self._inline(part.inline_data, path) if part.inline_data is not None else None

    def _inline(self, blob: Blob, path: str) -> bytes | None:
        if not blob.mime_type:
            raise refuse(f"* GenerateContentRequest.{path}.inline_data.mime_type: mime_type is required.")
        data = decode_base64(blob.data or "", url_safe=True)
        if not data:
            raise refuse(f"Invalid value at '{path}.inline_data.data' (TYPE_BYTES), Base64 decoding failed")
        kind = _KINDS.get(blob.mime_type.partition("/")[0], "document")
        if kind == "image":
            if blob.mime_type not in _IMAGES:
                raise refuse(f"Unsupported MIME type: {blob.mime_type}")
            if image_type(data) != blob.mime_type:
                raise refuse("Unable to process input image. Please retry or report it.")
        if kind == "document" and not blob.mime_type.startswith("text/") and blob.mime_type not in _DOCUMENTS:
            raise refuse(f"Unsupported MIME type: {blob.mime_type}")
        self.media.append(Media(kind, f"{blob.mime_type} {len(data)} bytes"))
        self._tally.media(data)
        return data if kind == "image" else None

    def _file(self, file: FileData, path: str) -> None:
        if not file.file_uri:
            raise refuse(f"* GenerateContentRequest.{path}.file_data.file_uri: file_uri is required.")
        kind = _KINDS.get((file.mime_type or "").partition("/")[0], "document")
        self.media.append(Media(kind, file.file_uri))
        self._tally.media(file.file_uri.encode())


def _check_part(part: Part, path: str) -> None:
    given = [name for name in _DATA if getattr(part, name) is not None]
    if len(given) > 1:
        raise refuse(f"Invalid value at '{path}' (oneof), oneof field 'data' is already set. Cannot set '{given[1]}'")
    if not given:
        raise refuse(
            f"* GenerateContentRequest.{path}.data: required oneof field 'data' must have one initialized field"
        )
