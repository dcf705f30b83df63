"""How workers tell each other their figures: whichever of them is asked for metrics answers for all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

__all__ = ["Siblings"]

_log = structlog.get_logger("pulse")
_PATIENCE_S = 1.0


class Siblings:
    """Answers its siblings with `tell()`, and asks them. They meet in a private folder, where each has a socket named by its number.

    Use it as an async context manager.
    """

    def __init__(self, folder: Path, number: int, tell: Callable[[], bytes]) -> None:
        self._folder, self._number, self._tell = folder, number, tell
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        place = self._folder / str(self._number)
        place.unlink(missing_ok=True)  # of the one that died in this place
        self._server = await asyncio.start_unix_server(self._answer, place)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            (self._folder / str(self._number)).unlink(missing_ok=True)

    async def told(self) -> list[bytes]:
        """What each of the others says; one that does not answer within a second is left out."""
        others = [place for place in sorted(self._folder.iterdir()) if place.name != str(self._number)]
        answers = await asyncio.gather(*map(self._ask, others))
        return [answer for answer in answers if answer]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(self._tell())
            writer.write_eof()
            await writer.drain()
        except OSError as error:
            _log.warning("a sibling went before it had its answer", reason=str(error))
        finally:
            writer.close()

    @staticmethod
    async def _ask(place: Path) -> bytes:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                reader, writer = await asyncio.open_unix_connection(place)
                try:
                    return await reader.read()
                finally:
                    writer.close()
        except (OSError, TimeoutError) as error:
            _log.warning("a worker did not tell its figures", worker=int(place.name), reason=str(error) or "no answer")
            return b""
