"""The folder in which `pulse dev` keeps its state, and the promise that one process at a time uses it."""

from __future__ import annotations

import fcntl
import os
import pwd
from collections.abc import Callable
from pathlib import Path

from pulse_gateway.errors import ConfigError

__all__ = ["DataDir", "DataDirError", "owner_name"]


class DataDirError(ConfigError):
    """The data directory cannot be used; the message names it, the cause and the way out."""


class DataDir:
    """A data directory, made if need be and locked from `acquire` to `release`.

    The lock is the kernel's (`flock` on `pulse.lock`): it ends with the process however that ends, `kill -9` included, and
    no child inherits it. A directory made here is private (0700), or for root passable (0711), because the embedded
    Postgres runs as another user there; what is in it has its own, private mode.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).expanduser().resolve()
        self.postgres = self.path / "postgres"
        self.postgres_log = self.path / "postgres.log"
        self.valkey = self.path / "valkey"
        self.valkey_log = self.path / "valkey.log"
        self.journal = self.path / "journal"
        self.mail = self.path / "mail"
        self.files = self.path / "files"
        self._lock: int | None = None

    def acquire(self) -> None:
        """Make the directory and lock it.

        Raises: DataDirError when another process uses it, when it belongs to another user, or when it cannot be made.
        """
        try:
            self._make()
            self._check_owner()
            lock = os.open(self.path / "pulse.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise DataDirError(f"{self.path} cannot be used as data directory: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            raise DataDirError(
                f"{self.path} is in use by another pulse dev (pid {holder}); stop that one, or give this one another --data-dir"
            ) from None
        except OSError as error:
            os.close(lock)
            raise DataDirError(
                f"{self.path} cannot be locked: {error.strerror}; choose a --data-dir on a local disk"
            ) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock

    def release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def secret(self, name: str, make: Callable[[], str]) -> str:
        """The text of the file `name`, which only its owner may read; made by `make` the first time. Needs the lock.

        Raises: DataDirError.
        """
        file = self.path / name
        try:
            if not file.exists():
                self._write_whole(file, make())
            elif file.stat().st_mode & 0o077:
                file.chmod(0o600)
            text = file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise DataDirError(f"{file} cannot be read or made: {error.strerror}") from error
        if not text:
            raise DataDirError(f"{file} is empty; delete it to have a new one made")
        return text

    def _make(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.path.mkdir(mode=0o700)
        except FileExistsError:
            if not self.path.is_dir():
                raise DataDirError(f"{self.path} is not a directory; choose another --data-dir") from None
            return
        self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
        (self.path / ".gitignore").write_text("*\n", encoding="ascii")

    def _check_owner(self) -> None:
        owner = self.path.stat().st_uid
        if os.geteuid() not in {0, owner}:
            raise DataDirError(
                f"{self.path} belongs to {owner_name(owner)}; run pulse dev as that user, or choose another --data-dir"
            )

    def _write_whole(self, file: Path, text: str) -> None:
        """Written beside and moved into place, so that a crash leaves the whole file or none."""
        beside = file.with_name(f".{file.name}.new")
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            stream.write(text + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        beside.rename(file)


def owner_name(uid: int) -> str:
    """The name of a system user, or its number if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
