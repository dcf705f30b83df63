"""The simulator without its sockets: one request, and the answer as values."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from pulse_gateway.testing.simulator import Config
from pulse_gateway.testing.simulator.application import Application
from pulse_gateway.testing.simulator.stats import Record
from pulse_gateway.testing.simulator.vendor import Request

__all__ = ["Answered", "Caller"]

_BOUNDARY = "part-of-a-form"


class Answered(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str | None, str | None]:
        """Status, code and parameter of an error in OpenAI's shape."""
        error = self.json["error"]
        return self.status, error["code"], error["param"]

    @property
    def events(self) -> list[Any]:
        """The data of every event, without an end mark."""
        lines = [
            line.removeprefix("data:").strip() for line in self.body.decode().split("\n") if line.startswith("data:")
        ]
        return [json.loads(line) for line in lines if line != "[DONE]"]


class Caller:
    """Sends to a simulator with seed 7 as somebody with a key."""

    def __init__(self) -> None:
        self.application = Application(7, Config())

    def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answered:
        path, _, query = path.partition("?")
        pairs = dict(pair.split("=", 1) for pair in query.split("&")) if query else {}
        sent = {"authorization": "Bearer k", "host": "simulator"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        delivery = self.application.answer(Request(method, path, pairs, sent, body))
        frames = b"".join(frame.data for frame in delivery.frames)
        delivery.tracker.head(delivery.status, delivery.usage)
        if delivery.frames:
            last = delivery.frames[-1]
            delivery.tracker.produced(len(delivery.frames), last.output_tokens, last.reasoning_tokens)
        delivery.tracker.end(delivery.outcome)
        return Answered(delivery.status, frames, dict(delivery.headers))

    def post(self, path: str, body: Any, **headers: str) -> Answered:
        return self.send("POST", path, json.dumps(body).encode(), **headers)

    def form(self, path: str, fields: list[tuple[str, str]], files: list[tuple[str, str, bytes]]) -> Answered:
        """`files` are name, filename and bytes."""
        parts = [f'form-data; name="{name}"\r\n\r\n'.encode() + value.encode() for name, value in fields]
        parts += [f'form-data; name="{name}"; filename="{file}"\r\n\r\n'.encode() + data for name, file, data in files]
        body = b"".join(f"--{_BOUNDARY}\r\nContent-Disposition: ".encode() + part + b"\r\n" for part in parts)
        content_type = f"multipart/form-data; boundary={_BOUNDARY}"
        return self.send("POST", path, body + f"--{_BOUNDARY}--\r\n".encode(), content_type=content_type)

    @property
    def record(self) -> Record:
        """The last line of the books."""
        return self.application.statistics.snapshot().requests[-1]
