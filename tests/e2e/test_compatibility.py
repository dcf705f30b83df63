"""The official SDKs over every vendor: each operation, in each dialect that has it, streamed and not. grid.toml says what is to come of it."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from compatibility.grid import CLIENTS, Cell, aliases, cells, grid
from compatibility.judging import judge
from compatibility.node import SOURCE, run_node
from compatibility.page import ROOT, page
from compatibility.running import Observed, run, trace_of
from pulse_process import API_KEY, Pulse, Simulation, open_folder

from pulse_gateway.testing.simulator.samples import picture
from pulse_gateway.wire.audio.formats import wav

FILES = {"png": picture("image/png", 1024, 1024, (10, 20, 30)), "wav": wav(b"\0\1" * 48_000, rate=24_000)}
NAMED = {f"{client}-{cell.name}": (client, cell) for cell in cells() for client in cell.clients}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulation]:
    """One whose books have nothing else in them, and whose streams are short."""
    with open_folder() as folder:
        (folder / "simulator.toml").write_text("[answers]\nchunks = 6\n")
        with Simulation.start("--config", str(folder / "simulator.toml")) as running:
            yield running


@pytest.fixture(scope="module")
def gateway(simulator: Simulation) -> Iterator[Pulse]:
    """Every vendor there is, at the simulator."""
    lines, keys = [], {}
    for provider in grid().provider:
        for alias, target in aliases(provider).items():
            lines.append(f'[models."{alias}"]\ntargets = ["{target}"]')
        if provider.base_url:
            kind = "openai_compatible" if provider.name == "any" else provider.name
            lines.append(f'[providers.{provider.name}]\nkind = "{kind}"')
            lines.append(f'base_url = "{provider.base_url.replace("{}", simulator.url)}"')
        if provider.bucket is not None:
            lines.append(f'bucket = "{provider.bucket.replace("{}", simulator.url)}"')
        if provider.key is not None:
            variable = f"KEY_OF_{provider.name.upper()}"
            lines.append(f'key = "env:{variable}"')
            keys[variable] = provider.key
    settings = {**keys, "PULSE_DEV_API_KEY": API_KEY, "PULSE_RATE_LIMIT": "off"}
    with open_folder() as folder:
        (folder / "pulse.toml").write_text("\n".join(lines))
        with Pulse.dev(folder / "data", settings) as running:
            yield running


@pytest.fixture(scope="module")
def outcomes(gateway: Pulse, simulator: Simulation, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What became of each cell, all of them having been asked at once."""
    folder = tmp_path_factory.mktemp("node")
    on_node = [cell for cell in cells() if "node" in cell.clients]

    async def observe() -> tuple[dict[str, dict[str, Observed]], list[dict[str, Any]]]:
        observed = await asyncio.gather(
            run(gateway.url, gateway.key, cells(), FILES),
            run_node(folder, gateway.url, gateway.key, on_node, FILES),
        )
        return dict(zip(CLIENTS, observed, strict=True)), await gateway.entries()

    observed, entries = asyncio.run(observe())
    books, ledger = defaultdict(list), defaultdict(list)
    for record in simulator.stats()["requests"]:
        books[(record["traceparent"] or "")[3:35]].append(record)
    for entry in entries:
        ledger[entry["trace_id"]].append(entry)

    def verdict(client: str, cell: Cell) -> str:
        trace = trace_of(client, cell)
        return judge(cell, observed[client][cell.name], books[trace], ledger[trace])

    return {name: verdict(client, cell) for name, (client, cell) in NAMED.items()}


@pytest.mark.parametrize("name", NAMED)
def test_cell(outcomes: dict[str, str], name: str) -> None:
    _, cell = NAMED[name]
    if outcomes[name] != cell.expected:
        pytest.fail(f"{name}: {cell.expected} is expected, but it {outcomes[name]}", pytrace=False)


def test_the_page_is_what_the_grid_says() -> None:
    assert (ROOT / "docs" / "compatibility.md").read_text() == page(), "run `make docs`"


def test_the_sdks_for_node_are_pinned_by_digest_and_no_host_is_named() -> None:
    lock = (SOURCE / "package-lock.json").read_text()
    assert "://" not in lock
    packages = {name: row for name, row in json.loads(lock)["packages"].items() if name}
    assert all(row["integrity"].startswith("sha512-") for row in packages.values())
