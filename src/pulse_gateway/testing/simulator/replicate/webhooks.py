"""Webhooks: signed, and sent again when the last one of a prediction is not taken.

Source: https://replicate.com/docs/topics/webhooks (read 2026-11-24), https://www.standardwebhooks.com
"""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b, sha256
from urllib.parse import urlsplit

import msgspec

from pulse_gateway.testing.simulator.dice import identifier
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.replicate.predictions import Prediction

__all__ = ["Webhooks"]

_TIMEOUT_S = 5.0
_RETRIES_S = (0.05, 0.1, 0.2)  # a minute in all at the real one
_ENCODE = msgspec.json.encode


class Webhooks:
    """`now` gives seconds since the epoch."""

    def __init__(self, seed: int, now: Callable[[], float]) -> None:
        self._now = now
        self._key = blake2b(str(seed).encode(), key=b"webhooks", digest_size=24).digest()
        self._seed = seed
        self._sent = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def secret(self) -> str:
        return "whsec_" + base64.b64encode(self._key).decode()

    def follow(self, prediction: Prediction, steer: Faults) -> None:
        """Let the prediction go on by itself and tell of it. Needs a running event loop."""
        task = asyncio.get_running_loop().create_task(self._run(prediction, steer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def reset(self) -> None:
        """Nothing more is sent."""
        for task in tuple(self._tasks):
            task.cancel()
        self._sent = 0

    async def _run(self, prediction: Prediction, steer: Faults) -> None:
        await asyncio.sleep(0)  # the answer to whoever created it goes first
        prediction.expire(self._now())
        if not prediction.is_done:
            prediction.start(self._now())
        if prediction.started_s is not None:
            await self._tell(prediction, "start", steer)
            prediction.looks = max(prediction.looks, min(1, prediction.polls))
            await self._tell(prediction, "logs", steer)
        if steer.chunk_delay is not None:
            await asyncio.sleep(steer.chunk_delay)
        prediction.expire(self._now())
        prediction.finish(self._now())
        if prediction.status == "succeeded":
            await self._tell(prediction, "output", steer)
        await self._tell(prediction, "completed", steer)

    async def _tell(self, prediction: Prediction, event: str, steer: Faults) -> None:
        """Only the last event of a prediction is worth a retry."""
        address = prediction.wanted.webhook
        if address is None or event not in prediction.wanted.events:
            return
        self._sent += 1
        message_id = identifier("msg_", f"{self._seed} {self._sent}".encode(), "webhook")
        body = _ENCODE(prediction.document(self._now()))
        for _ in range(2 if steer.twice else 1):
            taken = await self._post(address, message_id, body)
            for pause_s in () if taken or event != "completed" else _RETRIES_S:
                await asyncio.sleep(pause_s)
                if await self._post(address, message_id, body):
                    break

    async def _post(self, address: str, message_id: str, body: bytes) -> bool:
        """Whether it was taken: nothing but a 2xx counts, redirects do not."""
        sent_at = str(int(self._now()))
        signature = hmac.new(self._key, f"{message_id}.{sent_at}.".encode() + body, sha256).digest()
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": sent_at,
            "webhook-signature": "v1," + base64.b64encode(signature).decode(),
        }
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return 200 <= await _exchange(address, headers, body) < 300
        except (OSError, TimeoutError, ValueError):  # nobody there, too slow, or no HTTP
            return False


async def _exchange(address: str, headers: dict[str, str], body: bytes) -> int:
    """One POST over a connection of its own; the status of the answer.

    Raises: OSError; ValueError if what comes back is not HTTP.
    """
    parts = urlsplit(address)
    tls = parts.scheme == "https"
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or (443 if tls else 80), ssl=tls or None)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"POST {target} HTTP/1.1", f"host: {parts.netloc.rpartition('@')[2]}", "connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"content-length: {len(body)}", "", ""]
        writer.write("\r\n".join(lines).encode("ascii") + body)
        await writer.drain()
        words = (await reader.readline()).split()
        if len(words) < 2 or not words[0].startswith(b"HTTP/1."):
            raise ValueError("no HTTP")
        return int(words[1])
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
