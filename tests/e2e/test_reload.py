"""A new configuration under a running server: swapped in whole, or refused with the reason, and no request fails for it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pulse_process import START_S, Pulse, open_folder, run_pulse


@contextmanager
def serving(database_url: str, folder: Path, text: str) -> Iterator[Pulse]:
    file = folder / "pulse.toml"
    file.write_text(text)
    made = run_pulse("keys", "create", "--user", "ada@example.com", env={"PULSE_DATABASE_URL": database_url})
    settings = {"PULSE_RATE_LIMIT": "off"}
    with Pulse.serve(database_url, settings, key=made.stdout.strip(), cwd=folder) as pulse:
        yield pulse


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as opened:
        yield opened


def ask(pulse: Pulse, model: str = "echo", *, client: httpx.Client | None = None, **fields: Any) -> httpx.Response:
    if client is None:
        with httpx.Client(trust_env=False) as own:
            return ask(pulse, model, client=own, **fields)
    body = {"model": model, "messages": [{"role": "user", "content": "مرحبا"}], **fields}
    return client.post(f"{pulse.url}/v1/chat/completions", json=body, headers=pulse.headers)


def alias(name: str) -> str:
    return f'[models.{name}]\ntargets = ["echo:echo"]\n'


def wait_for_reloads(pulse: Pulse, count: int) -> dict[str, Any]:
    deadline = time.monotonic() + START_S
    while len(lines := pulse.log_lines("configuration reloaded")) < count:
        assert time.monotonic() < deadline, pulse.process.output
        httpx.get(f"{pulse.url}/health", trust_env=False)
    return lines[count - 1]


def test_a_signal_and_a_changed_file_both_bring_the_new_configuration(database_url: str, folder: Path) -> None:
    with serving(database_url, folder, alias("first")) as pulse:
        assert ask(pulse, "first").status_code == 200
        assert ask(pulse, "second").status_code == 404

        (folder / "pulse.toml").write_text(alias("second"))
        assert wait_for_reloads(pulse, 1)["models"] == ["second"]
        assert ask(pulse, "second").status_code == 200
        assert ask(pulse, "first").status_code == 404

        pulse.process.send(signal.SIGHUP)
        wait_for_reloads(pulse, 2)

        replacement = folder / "new.toml"  # as editors and configuration managers do it
        replacement.write_text(alias("third"))
        replacement.rename(folder / "pulse.toml")
        wait_for_reloads(pulse, 3)
        assert ask(pulse, "third").status_code == 200


def test_an_invalid_file_is_reported_and_the_last_good_one_stays(database_url: str, folder: Path) -> None:
    with serving(database_url, folder, alias("first")) as pulse:
        file = folder / "pulse.toml"
        file.write_text(alias("second") + "[limits]\nrequest = 3\n")
        line = pulse.process.wait_for(r".*configuration refused; the last good one stays.*")[0]
        assert "pulse.toml: unknown key `request` in [limits]; did you mean `requests`?" in line
        assert ask(pulse, "first").status_code == 200
        assert ask(pulse, "second").status_code == 404

        file.write_text(alias("second") + '[models.broken]\ntargets = ["nowhere:model"]\n')  # found late: by the router
        pulse.process.wait_for(r"there is no provider 'nowhere'")
        assert ask(pulse, "second").status_code == 404

        file.write_text(alias("second"))
        wait_for_reloads(pulse, 1)
        assert ask(pulse, "second").status_code == 200


def test_plans_follow_a_reload_and_what_cannot_is_said(database_url: str, folder: Path) -> None:
    with serving(database_url, folder, "[plans.unlimited]\ntokens = 1000000\n") as pulse:
        assert usage_limit(pulse) == 1_000_000
        (folder / "pulse.toml").write_text("[plans.unlimited]\ntokens = 7\n[server]\ndrain_s = 5\n")
        assert wait_for_reloads(pulse, 1)["takes_a_restart"] == ["server"]
        assert usage_limit(pulse) == 7
        refused = ask(pulse)
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "insufficient_quota"


def test_pulse_dev_follows_its_file_too(folder: Path) -> None:
    (folder / "pulse.toml").write_text(alias("first"))
    with Pulse.dev(folder / "data") as pulse:
        (folder / "pulse.toml").write_text(alias("second"))
        assert "takes_a_restart" not in wait_for_reloads(pulse, 1)
        assert ask(pulse, "second").status_code == 200
        assert ask(pulse, "first").status_code == 404


def usage_limit(pulse: Pulse) -> int:
    limit: int = httpx.get(f"{pulse.url}/v1/usage/me", headers=pulse.headers, trust_env=False).json()["tokens"]["limit"]
    return limit


def test_the_log_level_follows_a_reload(database_url: str, folder: Path) -> None:
    with serving(database_url, folder, alias("first")) as pulse:
        (folder / "pulse.toml").write_text(alias("second") + '[telemetry]\nlog_level = "error"\n')
        deadline = time.monotonic() + START_S
        while ask(pulse, "second").status_code != 200:  # at `error` the reload itself is not told
            assert time.monotonic() < deadline
        silent = ask(pulse, "second").headers["x-request-id"]

        (folder / "pulse.toml").write_text('[telemetry]\nlog_level = "info"\n')
        wait_for_reloads(pulse, 1)
        told = ask(pulse).headers["x-request-id"]
        pulse.exchange(told)
        assert silent not in pulse.process.output


def test_no_request_fails_while_the_configuration_changes(database_url: str, folder: Path) -> None:
    with serving(database_url, folder, alias("always")) as pulse:
        stop = threading.Event()
        statuses: list[int] = []
        answered = threading.Semaphore(0)

        def keep_asking(stream: bool) -> None:
            with httpx.Client(trust_env=False) as client:
                while not stop.is_set():
                    statuses.append(ask(pulse, "always", client=client, stream=stream).status_code)
                    answered.release()

        askers = [threading.Thread(target=keep_asking, args=(stream,)) for stream in (True, False)]
        for each in askers:
            each.start()
        for number in range(1, 6):
            (folder / "pulse.toml").write_text(alias("always") + alias(f"extra{number}"))
            pulse.process.send(signal.SIGHUP)
            wait_for_reloads(pulse, number)
            for _ in range(5):
                assert answered.acquire(timeout=START_S)
        stop.set()
        for each in askers:
            each.join()
        assert set(statuses) == {200}
