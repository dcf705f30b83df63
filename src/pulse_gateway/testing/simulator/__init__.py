"""OpenAI, Anthropic and Gemini on one local port: wire-accurate, strict, deterministic, and broken on demand.

```python
async with Simulator(seed=0) as simulator:
    client = AsyncOpenAI(base_url=f"{simulator.url}/v1", api_key="any", max_retries=0)
    await client.chat.completions.create(model="gpt-4.1+status=429,retry-after=1", messages=[…])
    simulator.stats().providers["openai"].by_status
```

The same from a shell: `python -m pulse_gateway.testing.simulator --port 9100`.

**It is an oracle.** It shares no code with the gateway, refuses what the vendors refuse, in their words, and counts what
they would bill. The same seed and request body give the same answer, byte for byte; request ids count up.

**Answers** quote the beginning of the prompt in its own writing, after marks of what arrived: `[system:first 16
characters]`, `[image:2 image/png 68 bytes, https://…]`, `[result:tool_name …]`. Tools that may be called are called, all
in parallel unless that is off; once the last turn brings results, text quotes them. A JSON schema is met, stop sequences
and token limits are honoured. Unless steered, reasoning takes at most half of the token limit.

**Tokens**: four bytes of UTF-8 are one token; see `tokens`. **Billing**: see `stats`. **Faults**: `MODEL+SPEC` or the
header `x-simulate: SPEC`; see `faults` and docs/simulator.md.
"""

from pulse_gateway.testing.simulator.config import Config, SimulatorConfigError, load_config
from pulse_gateway.testing.simulator.faults import FaultSpecError
from pulse_gateway.testing.simulator.server import Simulator, run, serve
from pulse_gateway.testing.simulator.stats import Billed, Counts, Record, Stats

__all__ = [
    "Billed",
    "Config",
    "Counts",
    "FaultSpecError",
    "Record",
    "Simulator",
    "SimulatorConfigError",
    "Stats",
    "load_config",
    "run",
    "serve",
]
