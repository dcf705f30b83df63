"""Whether a journal can take new work, and telling the operator when that changes."""

from __future__ import annotations

import logging
from pathlib import Path

__all__ = ["Readiness"]

_log = logging.getLogger(__name__)

_ALARM, _ALARM_OFF = 0.5, 0.45
_FULL, _FULL_OFF = 0.9, 0.85


class Readiness:
    """`refusal` is why new work is not taken; None: it is.

    From half of `max_bytes` on there is a warning, from 90 % on a refusal; both end a little below, so that they do not flutter.
    `judge_at_bytes` is the use from which on `judge` has something new to say.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._troubles: dict[str, str] = {}
        self._full = False
        self.alarmed = False
        self.refusal: str | None = None
        self.judge_at_bytes = 0

    def trouble(self, what: str, why: str) -> None:
        """Something does not work: `write`, `sync`, `allocate` … Call `judge` next."""
        self._troubles[what] = why

    def works(self, what: str) -> None:
        self._troubles.pop(what, None)

    def is_troubled(self, what: str) -> bool:
        return what in self._troubles

    @property
    def troubled(self) -> bool:
        """Something does not work."""
        return bool(self._troubles)

    def judge(self, used_bytes: int, waiting: int) -> None:
        """Decide anew; `waiting` is the number of records that could not be written yet."""
        fill = used_bytes / self._max_bytes
        self._full = fill >= (_FULL_OFF if self._full else _FULL)
        alarmed = fill >= (_ALARM_OFF if self.alarmed else _ALARM)
        if alarmed and not self.alarmed:
            _log.warning("%s: %.0f %% full: entries do not get to the ledger's store", self._directory, fill * 100)
        elif self.alarmed and not alarmed:
            _log.info("%s: %.0f %% full, no longer an alarm", self._directory, fill * 100)
        self.alarmed = alarmed
        self.judge_at_bytes = 2**63 if self._full else int(self._max_bytes * (_FULL if alarmed else _ALARM))
        refusal = None
        if self._troubles:
            refusal = "; ".join(f"cannot {what}: {why}" for what, why in self._troubles.items())
        elif self._full:
            refusal = f"{fill * 100:.0f} % of {self._max_bytes} bytes are in use"
        elif waiting:
            refusal = f"{waiting} records wait to be written"
        if refusal is not None and self.refusal is None:
            _log.error("%s: new work is refused: %s", self._directory, refusal)
        elif refusal is None and self.refusal is not None:
            _log.info("%s: new work is taken again", self._directory)
        self.refusal = refusal
