"""Bare HTTP towards the simulator, to see what the SDKs hide."""

from __future__ import annotations

from typing import Any

import httpx

__all__ = ["Wire"]


class Wire:
    """One method per vendor; keyword arguments are headers, with `_` for `-`."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def openai(self, body: Any, **headers: str) -> httpx.Response:
        headers = {"authorization": "Bearer k", **_dashed(headers)}
        return await self._client.post("/v1/chat/completions", json=body, headers=headers)

    async def anthropic(self, body: Any, **headers: str) -> httpx.Response:
        headers = {"x-api-key": "k", "anthropic-version": "2026-10-21", **_dashed(headers)}
        return await self._client.post("/v1/messages", json=body, headers=headers)

    async def gemini(self, model: str, body: Any, method: str = "generateContent", **headers: str) -> httpx.Response:
        headers = {"x-goog-api-key": "k", **_dashed(headers)}
        return await self._client.post(f"/v1beta/models/{model}:{method}", json=body, headers=headers)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self._client.get(path, headers=_dashed(headers))

    async def post(self, path: str, content: bytes = b"", **headers: str) -> httpx.Response:
        return await self._client.post(path, content=content, headers=_dashed(headers))


def _dashed(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
