"""The gateways beside Pulse: each installed into a folder of its own, at a fixed version, and run as its own documentation recommends.

Sources: docs.litellm.ai/docs/proxy/prod, tensorzero.com/docs/deployment/optimize-latency-and-throughput and the wheel's own stubs, the
README of @portkey-ai/gateway, nginx.org/en/docs/http/ngx_http_proxy_module.html; read 2026-11-24.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from benchmarks.comparison.install import Unavailable, done, once, venv
from benchmarks.comparison.kinds import KINDS
from benchmarks.comparison.process import Tree, running

__all__ = ["PEERS", "Gateway", "Peer", "free_port"]

_LITELLM = "1.106.0"  # 1.107.0 was a compromised release: never widen this without a look
_PORTKEY = "1.15.2"
_HONO_NODE_SERVER = "1.11.0"  # within what Portkey asks for; with the newest of that range (1.19.19) each of its streams is answered with 500
_TENSORZERO = "2026.6.0"
_KEY = "sk-benchmark"


class Gateway(msgspec.Struct, kw_only=True):
    """A gateway that runs, and how it is asked."""

    tree: Tree
    host: str = "127.0.0.1"
    port: int
    path: Callable[[str], str] = lambda kind: "/v1/chat/completions"
    model: Callable[[str], str] = lambda kind: kind
    headers: Callable[[str], dict[str, str]] = lambda kind: {}


class Peer(Protocol):
    """What can be compared."""

    name: str
    settings: str
    """What is on and off in it, in a sentence."""

    def install(self, home: Path, python: str) -> str:
        """Make sure that it is there, on that interpreter if it needs one; returns its version. Raises: Unavailable."""

    @contextmanager
    def start(self, home: Path, folder: Path, upstream: str, core: set[int]) -> Iterator[Gateway]:
        """Run it; `folder` is empty and its own. Raises: RuntimeError."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class LiteLLM:
    """LiteLLM's proxy."""

    name = "litellm"
    settings = (
        "one worker, its production settings (LITELLM_MODE=PRODUCTION, LITELLM_LOG=ERROR, json_logs, request_timeout 600); "
        "master key checked; no database, so no virtual keys, limits or spend are kept"
    )

    def install(self, home: Path, python: str) -> str:
        folder, wanted = home / self.name, f"litellm[proxy]=={_LITELLM}"
        return once(folder, f"{_LITELLM}, {python}", lambda: venv(folder, wanted, python=python))

    @contextmanager
    def start(self, home: Path, folder: Path, upstream: str, core: set[int]) -> Iterator[Gateway]:
        models = [
            {
                "model_name": kind,
                "litellm_params": {
                    "model": "anthropic/claude-haiku-4-5" if kind == "claude" else "openai/gpt-5.2",
                    "api_base": f"{upstream}/{kind}" + ("" if kind == "claude" else "/v1"),
                    "api_key": _KEY,
                },
            }
            for kind in KINDS
        ]
        config = {
            "model_list": models,
            "general_settings": {"master_key": _KEY},
            "litellm_settings": {"request_timeout": 600, "set_verbose": False, "json_logs": True},
        }
        (folder / "config.yaml").write_text(json.dumps(config))  # JSON is YAML
        port = free_port()
        command = [
            str(home / self.name / "bin/litellm"),
            *("--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"),
        ]
        quiet = {
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOG": "ERROR",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # asks nobody for prices
        }
        with running(command, quiet, folder, self.name, core) as tree:
            yield Gateway(tree=tree, port=port, headers=lambda kind: {"authorization": f"Bearer {_KEY}"})


class Portkey:
    """Portkey's gateway, on Node."""

    name = "portkey"
    settings = (
        "NODE_ENV=production, --headless (no console); provider and host by header; checks no key, has no limits and no log line; "
        f"@hono/node-server held at {_HONO_NODE_SERVER}, because streams fail with the newest that it asks for"
    )

    def install(self, home: Path, python: str) -> str:
        folder = home / self.name
        command = ["npm", "install", "--no-audit", "--no-fund", "--omit=dev", "--ignore-scripts", "--prefix", "."]

        def install() -> None:
            wanted = {"private": True, "overrides": {"@hono/node-server": _HONO_NODE_SERVER}}
            (folder / "package.json").write_text(json.dumps(wanted))
            done([*command, f"@portkey-ai/gateway@{_PORTKEY}"], folder)

        return once(folder, f"{_PORTKEY}, @hono/node-server {_HONO_NODE_SERVER}", install)

    @contextmanager
    def start(self, home: Path, folder: Path, upstream: str, core: set[int]) -> Iterator[Gateway]:
        port = free_port()
        program = home / self.name / "node_modules/@portkey-ai/gateway/build/start-server.js"
        command = ["node", str(program), f"--port={port}", "--headless"]

        def headers(kind: str) -> dict[str, str]:
            return {
                "authorization": f"Bearer {_KEY}",
                "x-portkey-provider": "anthropic" if kind == "claude" else "openai",
                "x-portkey-custom-host": f"{upstream}/{kind}/v1",
            }

        def model(kind: str) -> str:
            return "claude-haiku-4-5" if kind == "claude" else "gpt-5.2"

        with running(command, {"NODE_ENV": "production"}, folder, self.name, core) as tree:
            yield Gateway(tree=tree, port=port, headers=headers, model=model)


_TENSORZERO_PROGRAM = """
import signal
from tensorzero import _start_http_gateway
gateway = _start_http_gateway(
    config_file="tensorzero.toml", clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
)
print("ready", gateway.base_url, flush=True)
signal.pause()
"""


class TensorZero:
    """TensorZero's gateway: the Rust server with its OpenAI-compatible routes that its Python package starts for OpenAI's SDK."""

    name = "tensorzero"
    settings = "observability off, no authentication, no limits; the Rust server inside the Python package, whose interpreter only waits"
    gateway = "observability.enabled = false\ndisable_pseudonymous_usage_analytics = true\n"

    def install(self, home: Path, python: str) -> str:
        folder, wanted = home / "tensorzero", f"tensorzero=={_TENSORZERO}"
        return once(folder, f"{_TENSORZERO}, {python}", lambda: venv(folder, wanted, python=python))

    @contextmanager
    def start(self, home: Path, folder: Path, upstream: str, core: set[int]) -> Iterator[Gateway]:
        (folder / "tensorzero.toml").write_text(
            f'[gateway]\n{self.gateway}[object_storage]\ntype = "disabled"\n'
            + "".join(self._model(kind, upstream) for kind in KINDS)
        )
        command = [str(home / "tensorzero/bin/python"), "-c", _TENSORZERO_PROGRAM]
        env = {"OPENAI_API_KEY": _KEY, "ANTHROPIC_API_KEY": _KEY}
        with running(command, env, folder, self.name, core) as tree:
            ready = tree.wait_for(r"ready http://([\d.]+):(\d+)(\S*)")
            yield Gateway(
                tree=tree,
                host=ready[1],
                port=int(ready[2]),
                path=lambda kind: f"{ready[3]}/chat/completions",
                model=lambda kind: f"tensorzero::model_name::{kind}",
            )

    def _model(self, kind: str, upstream: str) -> str:
        anthropic = kind == "claude"
        base = f"{upstream}/{kind}/v1/" + ("messages" if anthropic else "")
        return (
            f'[models.{kind}]\nrouting = ["upstream"]\n[models.{kind}.providers.upstream]\n'
            f'type = "{"anthropic" if anthropic else "openai"}"\napi_base = "{base}"\n'
            f'model_name = "{"claude-haiku-4-5" if anthropic else "gpt-5.2"}"\n'
        )


class TensorZeroObserved(TensorZero):
    """The same with its records of every call, which want ClickHouse or Postgres."""

    name = "tensorzero-observed"
    settings = "observability on, asynchronous writes"
    gateway = (
        'observability.enabled = true\nobservability.backend = "clickhouse"\nobservability.async_writes = true\n'
        "disable_pseudonymous_usage_analytics = true\n"
    )

    def install(self, home: Path, python: str) -> str:
        raise Unavailable(
            "its records need ClickHouse, and Debian's (18.16.1) is too old for it (`Unknown setting input_format_null_as_default`); with "
            "Postgres they need the extension pgvector, and migrations that only its standalone binary runs: its package has none"
        )


_NGINX_CONF = """
worker_processes 1;
daemon off;
pid nginx.pid;
error_log stderr warn;
events { worker_connections 8192; }
http {
    access_log off;
    client_max_body_size 64m;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    keepalive_requests 100000000;
    upstream provider { server UPSTREAM; keepalive 256; keepalive_requests 100000000; }
    server {
        listen 127.0.0.1:PORT backlog=4096;
        location / {
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_read_timeout 600s;
        }
    }
}
"""


class Nginx:
    """The floor: a reverse proxy that reads nothing of what it moves."""

    name = "nginx"
    settings = (
        "one worker, kept connections to the upstream, proxy_buffering off, no access log; knows nothing of models"
    )

    def install(self, home: Path, python: str) -> str:
        folder = home / self.name
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "usr/sbin/nginx").exists():
            done(["apt-get", "download", "-q", "nginx"], folder)
            for package in folder.glob("nginx_*.deb"):
                done(["dpkg-deb", "-x", str(package), "."], folder)
        said = subprocess.run(
            [str(folder / "usr/sbin/nginx"), "-v"], capture_output=True, text=True, check=False
        ).stderr
        found = re.search(r"nginx/(\S+)", said)
        if found is None:
            raise Unavailable(f"it does not run: {said.strip()[-300:]}")
        return found[1]

    @contextmanager
    def start(self, home: Path, folder: Path, upstream: str, core: set[int]) -> Iterator[Gateway]:
        port = free_port()
        conf = _NGINX_CONF.replace("UPSTREAM", upstream.removeprefix("http://")).replace("PORT", str(port))
        (folder / "nginx.conf").write_text(conf)
        folder.chmod(0o755)
        command = [str(home / self.name / "usr/sbin/nginx"), "-p", str(folder), "-e", "stderr", "-c", "nginx.conf"]
        with running(command, {}, folder, self.name, core) as tree:
            yield Gateway(tree=tree, port=port, path=lambda kind: f"/{kind}/v1/chat/completions")


PEERS: tuple[Peer, ...] = (TensorZero(), TensorZeroObserved(), Portkey(), LiteLLM(), Nginx())
