"""Parts for tests of programs that use Pulse: a clock to steer, and the provider simulator in `testing.simulator`."""

from pulse_gateway.testing.clock import FakeClock

__all__ = ["FakeClock"]
