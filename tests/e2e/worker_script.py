"""A program whose workers do as they are told on the command line, for tests of what their parent makes of it.

`worker_script.py COUNT HOW`: HOW is `serve`, `crash` (before serving), `crash-later` (soon after), or `refuse` (a mistake in the
configuration). Each worker that serves prints `serving NUMBER PID`, and `reloaded NUMBER` at each reload.
"""

from __future__ import annotations

import os
import sys

from pulse_gateway.config import TelemetryConfig
from pulse_gateway.errors import ConfigError
from pulse_host.logs import configure_logs
from pulse_host.server import Signals, run_async
from pulse_host.workers import Supervisor, Worker


def say(line: str) -> None:
    """One write a line, so that those of several processes do not mix."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    count, how = int(sys.argv[1]), sys.argv[2]

    async def serve(signals: Signals, worker: Worker) -> None:
        if how == "refuse":
            raise ConfigError("nothing is configured")
        if how == "crash":
            os._exit(3)
        signals.on_hangup = lambda: say(f"reloaded {worker.number}")
        signals.serving = True
        say(f"serving {worker.number} {os.getpid()}")
        worker.ready()
        if how == "crash-later" and worker.number == 2:
            os._exit(4)
        await signals.stop_asked.wait()
        if how == "linger":
            await signals.haste_asked.wait()
            say(f"in haste {worker.number}")

    def work(worker: Worker) -> None:
        run_async(lambda signals: serve(signals, worker), worker)

    configure_logs(TelemetryConfig(log_format="json"))
    return Supervisor(count, work, on_ready=lambda: say("all serve")).run()


sys.exit(main())
