"""Memory of a gateway's processes: 2,000 streams that say nothing, a request of 20 MB, a long answer to a slow reader, a million requests."""

from __future__ import annotations

import http.client
import json
import socket
import statistics
import subprocess
import sys
import time
from typing import Any

import msgspec

from benchmarks.comparison.kinds import fields
from benchmarks.comparison.peers import Gateway
from benchmarks.comparison.session import Session, ask_of, asked_once, under_load
from benchmarks.comparison.upstream import LARGE_BYTES

__all__ = ["BODY_BYTES", "IDLE_STREAMS", "growth", "measure"]

IDLE_STREAMS = 2_000
BODY_BYTES = 19_900_000
_READ_BYTES_S = 10_000_000
_LOAD = [sys.executable, "-m", "benchmarks.comparison.load"]


def measure(session: Session, hold_s: float) -> dict[str, Any]:
    """By gateway."""
    return {name: _of(gateway, hold_s) for name, gateway in session.gateways.items()}


def _of(gateway: Gateway, hold_s: float) -> dict[str, Any]:
    found: dict[str, Any] = {"rss_before_mib": round(gateway.tree.rss_bytes() / 2**20, 1)}
    for name, part in (("large_request", _large_request), ("slow_reader", _slow_reader)):
        try:
            found[name] = part(gateway)
        except (OSError, http.client.HTTPException, ValueError) as error:
            found[name] = {"failed": f"{type(error).__name__}: {error}"[:200]}
    found["idle_streams"] = _idle_streams(gateway, hold_s)
    return found


def _idle_streams(gateway: Gateway, hold_s: float) -> dict[str, Any]:
    """Bytes that each of them costs, and how many are still open at the end."""
    with subprocess.Popen(_LOAD, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as load:
        assert load.stdin is not None
        assert load.stdout is not None
        under_load(
            ask_of(gateway, "stream", connections=100, seconds=1.5)
        )  # what the first hundred streams leave behind
        before = gateway.tree.rss_bytes()
        load.stdin.write(msgspec.json.encode(ask_of(gateway, "idle", mode="idle", connections=IDLE_STREAMS)) + b"\n")
        load.stdin.flush()
        opened = json.loads(load.stdout.readline())["open"]
        after = gateway.tree.rss_bytes()
        time.sleep(hold_s)
        load.stdin.write(b"\n")
        load.stdin.flush()
        done = json.loads(load.stdout.readline())
    return {
        "asked": IDLE_STREAMS,
        "opened": opened,
        "still_open": done["done"],
        "held_s": hold_s,
        "kib_each": round((after - before) / max(1, opened) / 1024, 1),
        "errors": done["errors"],
    }


def _large_request(gateway: Gateway) -> dict[str, Any]:
    """What is resident at most while a picture of 20 MB goes by, over what was before: median of three, and of each its answer."""
    extra, answers = [], []
    for _ in range(3):
        before = gateway.tree.rss_bytes()
        gateway.tree.forget_peak()
        status, body = asked_once(gateway, "answer", BODY_BYTES, timeout_s=30.0)
        extra.append(gateway.tree.peak_bytes() - before)
        answers.append(status if status == 200 else f"{status} {body[:120].decode('latin-1')}")
        if status != 200:
            break
    return {"times_its_size": [round(each / BODY_BYTES, 2) for each in extra], "answers": answers}


def _slow_reader(gateway: Gateway) -> dict[str, Any]:
    """The same for a streamed answer of 50 MB that is read at 10 MB a second; the reader's own socket holds little."""
    body = fields("large", gateway.model("large")).encode()
    headers = {"content-type": "application/json", **gateway.headers("large")}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST {gateway.path('large')} HTTP/1.1\r\nhost: {gateway.host}\r\n{lines}connection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.settimeout(30.0)
        client.connect((gateway.host, gateway.port))
        before = gateway.tree.rss_bytes()
        gateway.tree.forget_peak()
        client.sendall(head.encode() + body)
        came, tail, started = 0, b"", time.perf_counter()
        while piece := client.recv(65_536):
            came += len(piece)
            tail = (tail + piece)[-64:]
            if b"[DONE]" in tail:
                break
            time.sleep(max(0.0, came / _READ_BYTES_S - (time.perf_counter() - started)))
    extra = gateway.tree.peak_bytes() - before
    if b"[DONE]" not in tail:
        raise ValueError(f"the stream ended after {came} bytes of at least {LARGE_BYTES}")
    return {"extra_mib": round(extra / 2**20, 2), "came_mb": round(came / 1e6, 1)}


def growth(session: Session, names: list[str], requests: int) -> dict[str, Any]:
    """RSS over many requests, in twenty steps, and its slope after the first quarter, in bytes per request (least squares)."""
    found: dict[str, Any] = {}
    for name in names:
        gateway = session.gateways.get(name)
        if gateway is None:
            continue
        step = max(1, requests // 20)
        points = [(0, gateway.tree.rss_bytes())]
        failed = 0
        for number in range(1, 21):
            failed += under_load(ask_of(gateway, "answer", requests=step)).failed
            points.append((number * step, gateway.tree.rss_bytes()))
            rss_mib = points[-1][1] / 2**20
            print(
                f"growth: {name}, {number * step:,} of {20 * step:,} requests, {rss_mib:.1f} MiB, {failed} errors",
                flush=True,
            )
        settled = points[5:]
        slope = statistics.linear_regression([at for at, _ in settled], [rss for _, rss in settled]).slope
        found[name] = {
            "requests": requests,
            "failed": failed,
            "rss_mib": [round(rss / 2**20, 2) for _, rss in points],
            "bytes_per_request": round(slope, 2),
        }
    return found
