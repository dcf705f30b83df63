"""The files API: what is uploaded to be used as input.

Source: https://replicate.com/docs/reference/http (read 2026-11-24) and replicate 1.0.7
"""

from __future__ import annotations

from hashlib import md5, sha256
from typing import Any

import msgspec

from pulse_gateway.testing.simulator.dice import identifier
from pulse_gateway.testing.simulator.forms import FormError, read_form
from pulse_gateway.testing.simulator.replicate.errors import invalid_input, refuse
from pulse_gateway.testing.simulator.replicate.predictions import timestamp
from pulse_gateway.testing.simulator.vendor import Request

__all__ = ["Upload", "Uploads"]

_MAX_BYTES = 100 * 1024 * 1024
_KEPT_S = 24 * 3600


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    content_type: str
    data: bytes
    metadata: dict[str, Any]
    created_s: float
    base_url: str

    def document(self) -> dict[str, Any]:
        digest = sha256(self.data).hexdigest()
        return {
            "id": self.id,
            "name": self.name,
            "content_type": self.content_type,
            "size": len(self.data),
            "etag": digest[:32],
            "checksums": {"sha256": digest, "md5": md5(self.data, usedforsecurity=False).hexdigest()},
            "metadata": self.metadata,
            "created_at": timestamp(self.created_s),
            "expires_at": timestamp(self.created_s + _KEPT_S),
            "urls": {"get": f"{self.base_url}/v1/files/{self.id}"},
        }


class Uploads:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._files: dict[str, Upload] = {}
        self._received = 0

    def __contains__(self, file_id: str) -> bool:
        return file_id in self._files

    def get(self, file_id: str) -> Upload:
        """Raises: Refusal."""
        if file_id not in self._files:
            raise refuse(status=404)
        return self._files[file_id]

    def all(self) -> list[Upload]:
        """Newest first."""
        return list(reversed(self._files.values()))

    def delete(self, file_id: str) -> None:
        del self._files[self.get(file_id).id]

    def receive(self, request: Request, base_url: str, now_s: float) -> Upload:
        """Raises: Refusal."""
        try:
            parts = {part.name: part for part in read_form(request)}
            metadata = parts["metadata"].text if "metadata" in parts else "{}"
        except FormError as error:
            raise refuse(str(error), status=400) from error
        content = parts.get("content")
        if content is None or content.filename is None:
            raise invalid_input([("required", "content", "content is required and must be a file")])
        if len(content.data) > _MAX_BYTES:
            raise refuse(status=413)
        if unknown := parts.keys() - {"content", "filename", "type", "metadata"}:
            raise invalid_input([("unknown", name, "Additional property is not allowed") for name in sorted(unknown)])
        try:
            more = msgspec.json.decode(metadata, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise invalid_input([("invalid", "metadata", "must be a JSON object")]) from error
        self._received += 1
        upload = Upload(
            id=identifier("file_", f"{self._seed} {self._received}".encode(), "upload", 26),
            name=content.filename,
            content_type=content.content_type or "application/octet-stream",
            data=content.data,
            metadata=more,
            created_s=now_s,
            base_url=base_url,
        )
        self._files[upload.id] = upload
        return upload

    def reset(self) -> None:
        self._files.clear()
        self._received = 0
