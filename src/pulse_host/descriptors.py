"""How many descriptors the process may hold: each connection, of a client and to a provider, takes one."""

from __future__ import annotations

from contextlib import suppress

import structlog

__all__ = ["allow"]

_log = structlog.get_logger("pulse")


def allow(connections: int) -> None:
    """Raise the soft limit to the hard one; where `connections` at once to one provider, and their clients', still do not fit, warn.

    A shell or a service manager usually grants 1,024, for the sake of programs that wait with `select`, and lets every other raise that.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):  # a system may refuse its own hard limit: macOS's "unlimited" is none
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    needed = 2 * connections
    if soft != resource.RLIM_INFINITY and soft < needed:
        _log.warning(
            "few descriptors",
            limit=soft,
            needed=needed,
            detail=f"network.max_connections = {connections} takes two each; raise the hard limit (`ulimit -Hn`, LimitNOFILE=), "
            f"or set network.max_connections to {max(1, soft // 2)}: beyond it connections fail instead of waiting",
        )
