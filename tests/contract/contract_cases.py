"""Fixtures: folders of small files that say what a client sends, what the vendor must get for it, what it answers, and what that means.

`fixtures/README.md` describes the files.
"""

from __future__ import annotations

import json
import tomllib
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from pulse_gateway.types.http import Headers, HttpAnswer, Payload
from pulse_gateway.wire.multipart import FormPart, build_form

__all__ = ["CHAT_CASES", "FIXTURES", "Case", "Vendor", "cases_of", "payload_of", "vendors"]

FIXTURES = Path(__file__).parent / "fixtures"

CHAT_CASES = (
    "chat", "stream", "tools", "parallel_tools", "reasoning", "image_in", "json_schema", "refusal", "content_filter",
    "context_overflow", "rate_limit", "overload", "malformed_frame",
)  # fmt: skip
"""What every vendor that speaks chat has a case of, or a sentence in its `cases.toml` that says why it has none."""


class Vendor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`cases.toml`. `headers`: what every request has, such as the proof of who calls; empty: what none has. `same`: by another folder's name, its cases that hold here word for word, but for address and model."""

    kind: str
    model: str
    address: str
    source: str
    unverified: list[str] = []
    provider: str = ""
    base_url: str | None = None
    bucket: str | None = None
    key: str = "KEY"
    headers: dict[str, str] = {}
    absent: dict[str, str] = {}
    same: dict[str, list[str]] = {}

    @property
    def name(self) -> str:
        """How the provider is called in the gateway's configuration."""
        return self.provider or self.kind


class Case(msgspec.Struct, frozen=True):
    """One folder, as it is for `vendor`, whose own folder is called `of`; it was written for `owner`."""

    vendor: Vendor
    owner: Vendor
    folder: Path
    of: str

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def id(self) -> str:
        shared = "" if self.folder.parent.name == self.of else f" (as {self.folder.parent.name})"
        return f"{self.of}/{self.name}{shared}"

    @property
    def client(self) -> dict[str, Any]:
        read: dict[str, Any] = self._json("client.json")
        return read

    @property
    def expected(self) -> dict[str, Any]:
        read: dict[str, Any] = self._json("expected.json")
        return read

    @property
    def requests(self) -> list[dict[str, Any]]:
        """In the order they are to be made."""
        read = (self._json(path.name) for path in sorted(self.folder.glob("upstream_request*.json")))
        usual = {name: value or None for name, value in self.vendor.headers.items()}
        return [{**each, "headers": {**usual, **each.get("headers", {})}} for each in read]

    @property
    def answers(self) -> list[HttpAnswer]:
        return [_answer(path) for path in sorted(self.folder.glob("upstream_response*"))]

    @property
    def asked(self) -> str:
        """The model, as the client calls it."""
        said = self.client
        written = [part["text"] for part in said.get("form", ()) if part["name"] == "model"]
        return str(said.get("model") or said.get("body", {}).get("model") or written[0])

    @property
    def is_chat(self) -> bool:
        return self.client.get("operation", "chat") == "chat"

    @property
    def is_stream(self) -> bool:
        return self.is_chat and any(
            dict(answer.headers).get("content-type", "").startswith(_STREAMS) for answer in self.answers
        )

    def _json(self, name: str) -> Any:
        text = (self.folder / name).read_text()
        mine, theirs = self.vendor, self.owner
        if mine is not theirs:
            text = text.replace(theirs.address, mine.address)
            text = text.replace(f'"{theirs.name}:{theirs.model}"', f'"{mine.name}:{mine.model}"')
            text = text.replace(f'"{theirs.name}:', f'"{mine.name}:')
            text = text.replace(f'"{theirs.model}"', f'"{mine.model}"')
        return json.loads(text)


_STREAMS = ("text/event-stream", "application/vnd.amazon.eventstream")


def vendors(root: Path = FIXTURES) -> dict[str, Vendor]:
    """By folder."""
    found = sorted(root.glob("*/cases.toml"))
    return {path.parent.name: msgspec.convert(tomllib.loads(path.read_text()), Vendor) for path in found}


def cases_of(folder: Path, others: Path = FIXTURES) -> Iterator[Case]:
    """Of one vendor's folder. `others` is where the folders are that its `same` names."""
    vendor = vendors(folder.parent)[folder.name]
    for path in sorted(folder.glob("*/client.json")):
        yield Case(vendor, vendor, path.parent, folder.name)
    for other, names in vendor.same.items():
        for name in names:
            owner = vendors(others)[other]
            yield Case(vendor, owner, others / other / name, folder.name)


def _answer(path: Path) -> HttpAnswer:
    """`….http`: status line, headers, an empty line, the body as it is. `….hex`: the body in hexadecimal, `#` begins a comment."""
    head, _, body = path.read_bytes().partition(b"\n\n")
    status, *lines = head.decode().split("\n")
    headers: Headers = tuple(
        (name.strip().lower(), value.strip()) for name, _, value in (x.partition(":") for x in lines)
    )
    if path.suffix == ".hex":
        body = bytes.fromhex("".join(line.partition("#")[0] for line in body.decode().splitlines()))
    return HttpAnswer(int(status.split()[1]), headers, body)


def payload_of(said: dict[str, Any]) -> Payload:
    """The body of a `client.json`: JSON, or the parts of a form."""
    if "form" not in said:
        return Payload(json.dumps(said["body"], ensure_ascii=False).encode())
    return build_form(
        [
            FormPart(
                name=part["name"],
                data=b64decode(part["base64"]) if "base64" in part else part["text"].encode(),
                filename=part.get("filename"),
                content_type=part.get("content_type"),
            )
            for part in said["form"]
        ]
    )
