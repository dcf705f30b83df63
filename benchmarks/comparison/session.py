"""One run of the comparison: the upstream, Pulse and its peers, all started, each asked once; and the load, sent to one of them."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import msgspec

from benchmarks.comparison.install import Unavailable
from benchmarks.comparison.kinds import ends_with, fields
from benchmarks.comparison.load import Ask, Found
from benchmarks.comparison.peers import Gateway, Peer
from benchmarks.comparison.process import Tree, cores, running

__all__ = ["Session", "ask_of", "asked_once", "under_load"]

_READY_S = 180.0
_LOAD = [sys.executable, "-m", "benchmarks.comparison.load"]


def ask_of(gateway: Gateway, kind: str, **more: object) -> Ask:
    """What the load generator is told."""
    plain: dict[str, object] = {
        "host": gateway.host,
        "port": gateway.port,
        "path": gateway.path(kind),
        "headers": {"content-type": "application/json", **gateway.headers(kind)},
        "body": fields(kind, gateway.model(kind)),
        "ends_with": ends_with(kind),
    }
    return msgspec.convert(plain | more, Ask)


def under_load(ask: Ask) -> Found:
    """Run it in a process of its own. Raises: CalledProcessError."""
    words = msgspec.json.encode(ask) + b"\n"
    done = subprocess.run(_LOAD, input=words, stdout=subprocess.PIPE, check=True, timeout=4_000)
    return msgspec.json.decode(done.stdout, type=Found)


def asked_once(
    gateway: Gateway, kind: str = "answer", image_bytes: int = 0, timeout_s: float = 30.0
) -> tuple[int, bytes]:
    """One request on a connection of its own: status and body. Raises: OSError, HTTPException."""
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=timeout_s)
    try:
        body = fields(kind, gateway.model(kind), image_bytes)
        headers = {"content-type": "application/json", **gateway.headers(kind)}
        connection.request("POST", gateway.path(kind), body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class Session:
    """Gateways by name, versions and settings of all, and why some are not among them."""

    def __init__(self, folder: Path, home: Path, stack: ExitStack, python: str = sys.executable) -> None:
        """`python` is what those that are written in it are installed with."""
        self.folder, self._home, self._stack, self._python = folder, home, stack, python
        self.core, self.others = cores()
        os.sched_setaffinity(0, self.others)  # and so all that is started without another word
        self.gateways: dict[str, Gateway] = {}
        self.versions: dict[str, str] = {}
        self.settings: dict[str, str] = {}
        self.missing: dict[str, str] = {}
        command = [sys.executable, "-m", "benchmarks.comparison.upstream"]
        env = {"PYTHONPATH": str(Path(__file__).parents[2])}
        self.upstream: Tree = stack.enter_context(running(command, env, folder, "upstream", self.others))
        ready = self.upstream.wait_for(r"ready (http://127\.0\.0\.1:(\d+))")
        self.url = ready[1]
        self.direct = Gateway(tree=self.upstream, port=int(ready[2]), path=lambda kind: f"/{kind}/v1/chat/completions")

    def install(self, peers: Iterable[Peer]) -> list[Peer]:
        """Those that are there."""
        present = []
        for peer in peers:
            self.settings[peer.name] = peer.settings
            try:
                self.versions[peer.name] = peer.install(self._home, self._python)
            except Unavailable as error:
                self.missing[peer.name] = str(error)
            else:
                present.append(peer)
        return present

    def begin(self, peer: Peer, stack: ExitStack) -> Gateway:
        """Start it and wait for its first answer. Raises: RuntimeError."""
        place = self.folder / peer.name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        gateway = stack.enter_context(peer.start(self._home, place, self.url, self.core))
        self._first_answer(peer.name, gateway)
        return gateway

    def timed(self, peer: Peer, stack: ExitStack) -> tuple[Gateway, float]:
        """The same, and the seconds from its command to its first answer. Raises: RuntimeError."""
        gateway = self.begin(peer, stack)
        return gateway, time.monotonic() - gateway.tree.started

    def begin_all(self, peers: Iterable[Peer]) -> None:
        """Start all of them; one that does not is told of in `missing`."""
        for peer in peers:
            opened = ExitStack()
            try:
                self.gateways[peer.name] = self.begin(peer, opened)
            except (RuntimeError, OSError) as error:
                opened.close()
                self.missing[peer.name] = f"it did not start: {error}"
            else:
                self._stack.push(opened)

    def _first_answer(self, name: str, gateway: Gateway) -> None:
        deadline = time.monotonic() + _READY_S
        said = "no answer"
        while time.monotonic() < deadline and not gateway.tree.has_ended:
            try:
                status, body = asked_once(gateway)
            except (OSError, http.client.HTTPException) as error:
                said = str(error)
            else:
                if status == 200:
                    return
                said = f"{status} {body[:300]!r}"
            time.sleep(0.002)
        raise RuntimeError(f"{name}: {said}; the end of its output: {gateway.tree.log[-800:]}")
