"""A server takes as many descriptors as it may have, and says when those are too few for its connections."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1024))
from pulse_host import descriptors
descriptors.allow({connections})
print("limit", *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def said(connections: int) -> str:
    return subprocess.check_output([sys.executable, "-c", CODE.format(connections=connections)], text=True)


def test_the_soft_limit_becomes_the_hard_one() -> None:
    assert said(512) == "limit 1024 1024\n"


def test_a_limit_that_is_low_for_the_connections_is_warned_of_with_what_to_do() -> None:
    told = said(513)
    assert "few descriptors" in told
    assert "network.max_connections to 512" in told
    assert "limit 1024 1024" in told
