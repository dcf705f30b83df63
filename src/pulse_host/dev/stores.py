"""The stores behind `pulse dev`, all below one data directory."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pulse_host.dev.data_dir import DataDir
from pulse_host.dev.embedded import EmbeddedPostgres
from pulse_host.dev.plain_role import PLAIN_ROLE, hand_over
from pulse_host.dev.valkey import EmbeddedValkey

__all__ = ["DevStores"]


class DevStores:
    """`start` locks the directory and brings the servers up, `stop` takes them down. Also an async context manager.

    A server of the caller's own is used where its address is given; nothing is started in its place. After `start`,
    `database_url` is the address of a database that is not yet migrated, for a role that is no superuser, and `redis_url` that of
    a Valkey.
    """

    def __init__(self, data_dir: Path | str, *, database_url: str | None = None, redis_url: str | None = None) -> None:
        self.data = DataDir(data_dir)
        self.postgres = EmbeddedPostgres(self.data.postgres, log=self.data.postgres_log)
        self.valkey = EmbeddedValkey(self.data.valkey, log=self.data.valkey_log)
        self._own_database, self._own_redis = database_url, redis_url
        self.database_url = database_url or ""
        self.redis_url = redis_url or ""

    async def start(self) -> None:
        """Both servers at once: neither waits for the other.

        Raises: DataDirError, EmbeddedError; then nothing is left running, and the directory is free.
        """
        self.data.acquire()
        starting = [
            asyncio.create_task(asyncio.to_thread(server.start))
            for server, own in ((self.postgres, self._own_database), (self.valkey, self._own_redis))
            if own is None
        ]
        try:
            await asyncio.shield(asyncio.gather(*starting))
            if self._own_database is None:
                await hand_over(self.postgres.url())
        except BaseException:  # cancelled too: a thread goes on regardless, and what it started must be stopped
            if starting:
                await asyncio.wait(starting)
            await self.stop()
            raise
        if self._own_database is None:
            self.database_url = self.postgres.url(user=PLAIN_ROLE)
        if self._own_redis is None:
            self.redis_url = self.valkey.url

    async def stop(self) -> None:
        await asyncio.gather(asyncio.to_thread(self.postgres.stop), asyncio.to_thread(self.valkey.stop))
        self.data.release()

    async def __aenter__(self) -> DevStores:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
