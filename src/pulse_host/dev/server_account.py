"""As whom the embedded Postgres runs when pulse runs as root, and what that user must be able to reach.

Postgres refuses to run as root. It then runs as a system user of its own, which needs to pass through the folders above
the data and above the installed binaries, and to read the latter. Only what is missing is granted, and only the right to
pass (`o+x`), not to list.
"""

from __future__ import annotations

import logging
import os
import pwd
import stat
import subprocess
from pathlib import Path

import msgspec

from pulse_host.dev.data_dir import DataDirError

__all__ = ["ServerAccount", "let_pass", "let_read", "server_account"]

_log = logging.getLogger(__name__)
_NAME = "embedded_postgres"


class ServerAccount(msgspec.Struct, frozen=True):
    uid: int
    gid: int


def server_account() -> ServerAccount | None:
    """The user that the server has to run as; None: the one that we are. Made the first time root asks.

    Raises: DataDirError when it cannot be made.
    """
    if os.geteuid() != 0:
        return None
    entry = _entry()
    if entry is None:
        command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", _NAME]
        try:
            made = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)  # noqa: S603 (fixed words)
            said = made.stderr.strip()
        except (OSError, subprocess.TimeoutExpired) as error:
            said = str(error)
        entry = _entry()  # asked again whatever useradd said: another process may have made it in the meantime
    if entry is None:
        raise DataDirError(
            f"Postgres does not run as root, and the system user {_NAME} for it cannot be made ({said}); "
            "run pulse dev as an ordinary user, or set PULSE_DATABASE_URL"
        )
    return ServerAccount(entry.pw_uid, entry.pw_gid)


def let_pass(account: ServerAccount, path: Path) -> None:
    """Make every folder above `path` passable for the account.

    Raises: DataDirError naming the folder whose mode cannot be changed.
    """
    for folder in reversed(path.parents):
        found = folder.stat()
        if found.st_uid == account.uid:
            needed = stat.S_IXUSR
        elif found.st_gid == account.gid:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if found.st_mode & needed:
            continue
        mode = stat.S_IMODE(found.st_mode) | needed
        try:
            folder.chmod(mode)
        except OSError as error:
            raise DataDirError(
                f"the embedded Postgres runs as {_NAME} when pulse runs as root, and that user cannot pass through {folder} "
                f"({error.strerror}); choose a --data-dir elsewhere, or run pulse dev as an ordinary user"
            ) from error
        _log.warning(
            "%s can now be passed through (mode %o): the embedded Postgres, which is not root, needs to", folder, mode
        )


def let_read(tree: Path, samples: tuple[str, ...]) -> None:
    """Make an installed tree readable for everybody, unless `samples` of it are: an installer keeps one mode throughout.

    Raises: DataDirError.
    """
    if all(_readable(tree / sample) for sample in samples):
        return
    try:
        for path in (tree, *tree.rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            passable = stat.S_IXGRP | stat.S_IXOTH if mode & stat.S_IXUSR else 0
            path.chmod(mode | stat.S_IRGRP | stat.S_IROTH | passable)
    except OSError as error:
        raise DataDirError(f"the embedded Postgres, which is not root, cannot read {tree}: {error.strerror}") from error


def _entry() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(_NAME)
    except KeyError:
        return None


def _readable(path: Path) -> bool:
    mode = path.stat().st_mode
    return bool(mode & stat.S_IROTH) and (not mode & stat.S_IXUSR or bool(mode & stat.S_IXOTH))
