"""The Postgres of `pulse dev`: restarts, kill -9, locks, and the folders and users it may meet."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import stat
import subprocess
import sys
import textwrap
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest

from pulse_host.database.migrate import migrate
from pulse_host.database.pool import open_connection
from pulse_host.dev import server_account as accounts
from pulse_host.dev.data_dir import DataDir, DataDirError
from pulse_host.dev.embedded import EmbeddedError, EmbeddedPostgres
from pulse_host.dev.stores import DevStores

ROOT = os.geteuid() == 0
# Newer Pythons warn of forking beside threads; the child here only runs a program and goes.
MAY_FORK = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


async def ask(url: str, *statements: str) -> Any:
    answer = None
    async with open_connection(url) as connection:
        for statement in statements:
            answer = await connection.fetchval(statement)
    return answer


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def socket_dir(url: str) -> Path:
    return Path(parse_qs(urlsplit(url).query)["host"][0])


@pytest.fixture
def server(own_dir: Path) -> Iterator[EmbeddedPostgres]:
    made = EmbeddedPostgres(own_dir / "postgres", log=own_dir / "log", settings={"fsync": "off"})
    yield made
    made.stop()


@pytest.fixture
async def stores(own_dir: Path) -> AsyncIterator[DevStores]:
    made = DevStores(own_dir / "data")
    yield made
    await made.stop()


# ── lifetimes ──


async def test_what_was_written_is_there_after_a_restart(stores: DevStores) -> None:
    await stores.start()
    await ask(stores.database_url, "create table kept as select 42 as n")
    pid = stores.postgres.pid
    assert pid is not None
    assert await asyncio.to_thread(stores.postgres.start) == stores.postgres.url()  # it runs: nothing to do
    assert stores.postgres.pid == pid
    await stores.stop()
    await stores.stop()
    assert stores.postgres.pid is None
    assert not psutil.pid_exists(pid)
    await stores.start()
    assert await ask(stores.database_url, "select n from kept") == 42


async def test_after_kill_9_of_pulse_its_server_is_stopped_and_the_data_is_there(own_dir: Path) -> None:
    data = own_dir / "data"
    script = """
        import asyncio, os, signal, sys
        from pulse_host.database.pool import open_connection
        from pulse_host.dev.stores import DevStores

        async def main():
            stores = DevStores(sys.argv[1])
            await stores.start()
            async with open_connection(stores.database_url) as connection:
                await connection.execute("create table kept as select 42 as n")
            print(stores.postgres.pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

        asyncio.run(main())
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(data)], capture_output=True, text=True, check=False
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    orphan = psutil.Process(int(run.stdout))
    assert orphan.name() == "postgres"

    async with DevStores(data) as stores:
        assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
        assert stores.postgres.pid != orphan.pid
        assert await ask(stores.database_url, "select n from kept") == 42


async def test_a_killed_server_recovers_at_the_next_start(server: EmbeddedPostgres) -> None:
    await ask(await asyncio.to_thread(server.start), "create table kept as select 42 as n")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    while server.pid is not None:
        await asyncio.sleep(0.002)
    assert await ask(await asyncio.to_thread(server.start), "select n from kept") == 42


async def test_a_pid_file_that_names_some_other_process_is_not_believed(server: EmbeddedPostgres) -> None:
    await ask(await asyncio.to_thread(server.start), "create table kept as select 42 as n")
    assert server.pid is not None
    files = [server.data / "postmaster.pid", server.data / ".s.PGSQL.5432.lock"]
    stale = [file.read_text().splitlines() for file in files]
    os.kill(server.pid, signal.SIGKILL)
    while server.pid is not None:
        await asyncio.sleep(0.002)
    account = accounts.server_account()
    user = {} if account is None else {"user": account.uid, "group": account.gid}
    stranger = subprocess.Popen(["sleep", "600"], **user)  # type: ignore[call-overload]
    try:
        for file, lines in zip(files, stale, strict=True):
            file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        assert await ask(await asyncio.to_thread(server.start), "select n from kept") == 42
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_an_interrupted_first_start_is_done_over(server: EmbeddedPostgres) -> None:
    half = server.data.with_name("postgres.new")
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    assert await ask(await asyncio.to_thread(server.start), "select 1") == 1
    assert not half.exists()


async def test_a_start_that_is_cancelled_leaves_nothing_running(own_dir: Path) -> None:
    stores = DevStores(own_dir / "data")
    starting = asyncio.create_task(stores.start())
    while not stores.data.postgres.exists():
        await asyncio.sleep(0.002)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert stores.postgres.pid is None
    assert not (stores.data.postgres / "postmaster.pid").exists()
    async with DevStores(own_dir / "data") as again:
        assert await ask(again.database_url, "select 1") == 1


async def test_ctrl_c_in_the_terminal_does_not_reach_the_server(server: EmbeddedPostgres) -> None:
    await asyncio.to_thread(server.start)
    assert server.pid is not None
    assert os.getpgid(server.pid) != os.getpgid(0)


async def test_a_server_that_does_not_start_says_why(server: EmbeddedPostgres) -> None:
    await asyncio.to_thread(server.start)
    server.stop()
    (server.data / "PG_VERSION").write_text("13\n")
    with pytest.raises(EmbeddedError, match=r"incompatible with server.*version 13.*log: .*/log"):
        await asyncio.to_thread(server.start)
    assert server.pid is None


async def test_a_folder_that_holds_something_else_is_left_alone(server: EmbeddedPostgres) -> None:
    server.data.mkdir()
    (server.data / "thesis.txt").write_text("important")
    with pytest.raises(EmbeddedError, match="holds something else"):
        await asyncio.to_thread(server.start)
    assert (server.data / "thesis.txt").read_text() == "important"


# ── the role ──


async def test_the_database_is_used_by_a_role_that_no_policy_lets_pass(stores: DevStores) -> None:
    await stores.start()
    assert await ask(stores.database_url, "select current_user") == "pulse"
    assert not await ask(
        stores.database_url, "select rolsuper or rolbypassrls from pg_roles where rolname = current_user"
    )
    await ask(
        stores.database_url,
        "create table guarded as select 1 as n",
        "alter table guarded enable row level security",
        "alter table guarded force row level security",
    )
    assert await ask(stores.database_url, "select count(*) from guarded") == 0


async def test_what_an_earlier_version_made_as_superuser_is_handed_over(stores: DevStores) -> None:
    """Its tables, partitions, sequences, views, functions and types; then the migrations of this version can change them."""
    stores.data.acquire()
    url = await asyncio.to_thread(stores.postgres.start)
    await migrate(url)
    await ask(
        url,
        "create table parent (id bigserial, at int) partition by range (at)",
        "create table child partition of parent for values from (0) to (10)",
        "create view seen as select * from parent",
        "create sequence loose",
        "create type mood as enum ('fine')",
        "create domain positive as int check (value > 0)",
        "create function twice(n int) returns int language sql as 'select 2 * n'",
        "create schema apart",
        "create table apart.kept as select 42 as n",
    )
    await stores.stop()
    for _ in range(2):
        await stores.start()
        assert await ask(stores.database_url, "select n from apart.kept") == 42
        assert await migrate(stores.database_url) == []
        foreign = """
            select string_agg(what, ', ') from (
                select relname::text as what, relnamespace as home, relowner as owner from pg_class
                union all select proname, pronamespace, proowner from pg_proc
                union all select typname, typnamespace, typowner from pg_type
            ) as object where home in ('public'::regnamespace, 'apart'::regnamespace) and owner <> 'pulse'::regrole"""
        assert await ask(stores.database_url, foreign) is None
        await ask(stores.database_url, "alter table usage_entry add column if not exists later int")
        await stores.stop()


# ── the data directory ──


async def test_a_second_one_on_the_same_directory_is_refused_and_the_first_lives_on(stores: DevStores) -> None:
    await stores.start()
    second = DevStores(stores.data.path)
    with pytest.raises(DataDirError, match=rf"in use by another pulse dev \(pid {os.getpid()}\)"):
        await second.start()
    await second.stop()
    assert await ask(stores.database_url, "select 1") == 1
    with pytest.raises(DataDirError, match="in use"):
        await second.start()


async def test_a_failed_start_gives_the_directory_back(own_dir: Path) -> None:
    stores = DevStores(own_dir / "data")
    stores.data.acquire()
    stores.data.postgres.mkdir()
    (stores.data.postgres / "thesis.txt").write_text("important")
    stores.data.release()
    with pytest.raises(EmbeddedError):
        await stores.start()
    stores.data.acquire()
    stores.data.release()


def test_a_new_directory_is_private_and_out_of_version_control(own_dir: Path) -> None:
    data = DataDir(own_dir / "new" / "data")
    data.acquire()
    assert mode(data.path) == (0o711 if ROOT else 0o700)
    assert (data.path / ".gitignore").read_text() == "*\n"
    assert mode(data.path / "pulse.lock") == 0o600
    data.release()


def test_a_directory_that_was_there_keeps_its_mode(own_dir: Path) -> None:
    own_dir.chmod(0o755)
    data = DataDir(own_dir)
    data.acquire()
    assert mode(own_dir) == 0o755
    assert not (own_dir / ".gitignore").exists()
    data.release()


def test_a_secret_is_made_once_and_readable_by_its_owner_alone(own_dir: Path) -> None:
    data = DataDir(own_dir / "data")
    data.acquire()
    assert data.secret("secret.key", lambda: "first") == "first"
    assert data.secret("secret.key", lambda: "second") == "first"
    file = data.path / "secret.key"
    assert mode(file) == 0o600
    file.chmod(0o644)
    assert data.secret("secret.key", lambda: "third") == "first"
    assert mode(file) == 0o600
    file.write_text("\n")
    with pytest.raises(DataDirError, match="empty"):
        data.secret("secret.key", lambda: "fourth")
    data.release()


def test_a_file_in_the_place_of_the_directory_is_named(own_dir: Path) -> None:
    (own_dir / "file").write_text("")
    for path in (own_dir / "file", own_dir / "file" / "below"):
        with pytest.raises(DataDirError, match="file"):
            DataDir(path).acquire()


# ── paths ──


@pytest.mark.parametrize(
    "name", ["a" * 120, "with, comma", 'with "quotes"', "بيانات المستخدم", "with space & % ? #"], ids=str
)
async def test_the_path_may_be_long_or_odd(own_dir: Path, name: str) -> None:
    async with DevStores(own_dir / name) as stores:
        assert await ask(stores.postgres.url(), "show data_directory") == str(stores.data.postgres)
        place = socket_dir(stores.database_url)
        assert mode(place) == 0o700
        assert mode(place / ".s.PGSQL.5432") == 0o700
    assert place == stores.data.postgres or not place.exists()


async def test_a_short_socket_folder_left_by_a_killed_server_is_removed(own_dir: Path) -> None:
    server = EmbeddedPostgres(own_dir / ("a" * 120), log=own_dir / "log", settings={"fsync": "off"})
    left = socket_dir(await asyncio.to_thread(server.start))
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    while server.pid is not None:
        await asyncio.sleep(0.002)
    again = EmbeddedPostgres(server.data, log=own_dir / "log", settings={"fsync": "off"})
    place = socket_dir(await asyncio.to_thread(again.start))
    assert place != left
    assert not left.exists()
    await asyncio.to_thread(again.stop)
    assert not place.exists()


# ── users ──


async def test_a_closed_home_above_the_data_is_opened_for_passing_only_and_only_by_root(own_dir: Path) -> None:
    home = own_dir / "home"
    home.mkdir(mode=0o700)
    async with DevStores(home / "project" / ".pulse") as stores:
        assert await ask(stores.database_url, "select 1") == 1
    assert mode(home) == (0o701 if ROOT else 0o700)


@MAY_FORK
def test_an_ordinary_user_runs_the_server_as_itself(postgres_server: EmbeddedPostgres, own_dir: Path) -> None:
    """As root in the guise of another user, whose folder is closed to everybody else; otherwise as whoever runs the tests."""
    user = pwd.getpwnam("nobody") if ROOT else pwd.getpwuid(os.geteuid())
    home = own_dir / "home"
    home.mkdir(mode=0o700)
    if ROOT:
        own_dir.chmod(0o711)
        os.chown(home, user.pw_uid, user.pw_gid)

    def live() -> None:
        async def use() -> None:
            async with DevStores(home / ".pulse") as stores:
                assert stores.postgres.pid is not None
                assert psutil.Process(stores.postgres.pid).uids().real == user.pw_uid
                assert await ask(stores.database_url, "select 42") == 42
                assert mode(stores.data.path) == 0o700

        asyncio.run(use())
        asyncio.run(use())

    as_user(user, live)
    assert mode(home) == 0o700


@MAY_FORK
def test_a_directory_that_is_not_ours_is_refused_with_the_reason(own_dir: Path) -> None:
    own_dir.chmod(0o755)
    closed = own_dir / "closed"
    closed.mkdir(mode=0o000)

    def refused() -> None:
        with pytest.raises(DataDirError, match="/usr belongs to root; run pulse dev as that user"):
            DataDir("/usr").acquire()
        with pytest.raises(DataDirError, match="closed/data cannot be used as data directory: Permission denied"):
            DataDir(closed / "data").acquire()

    as_user(pwd.getpwnam("nobody") if ROOT else pwd.getpwuid(os.geteuid()), refused)
    closed.chmod(0o700)


async def test_a_database_made_by_another_user_is_refused_by_name(stores: DevStores) -> None:
    await stores.start()
    await stores.stop()
    nobody = pwd.getpwnam("nobody")
    if ROOT:
        os.chown(stores.data.postgres, nobody.pw_uid, nobody.pw_gid)
        with pytest.raises(EmbeddedError, match="belongs to nobody, but would be run as embedded_postgres"):
            await stores.start()


def as_user(user: pwd.struct_passwd, work: Callable[[], None]) -> None:
    """Run `work` in a copy of this process that gave up root, if it had it."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if ROOT:
                os.setgroups([])
                os.setgid(user.pw_gid)
                os.setuid(user.pw_uid)
            work()
            code = 0
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, "see what the process printed above"
