from __future__ import annotations

import hashlib

import pytest

from pulse_gateway.transport.redis_calls import REDIRECTS, UNAVAILABLE, Script, error_code
from pulse_gateway.transport.redis_cluster import Slots, read_redirect


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("READONLY You can't write against a read only replica.", "READONLY"),
        ("OOM command not allowed when used memory > 'maxmemory'. script: 7f3a, on @user_script:1.", "OOM"),
        (
            "ERR Error running script (call to f_7f3a): @user_script:1: @user_script: 1: -READONLY You can't write",
            "READONLY",
        ),
        ("ERR Error running script (call to f_7f3a): @user_script:3: user_script:3: attempt to index a nil", "ERR"),
        ("ERR unknown command 'NONSENSE'", "ERR"),
        ("NOSCRIPT No matching script.", "NOSCRIPT"),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", "WRONGTYPE"),
    ],
)
def test_the_code_of_an_error_is_that_of_what_went_wrong(reply: str, code: str) -> None:
    assert error_code(reply) == code


def test_what_speaks_of_the_server_is_told_from_what_speaks_of_the_command() -> None:
    assert {"LOADING", "CLUSTERDOWN", "MISCONF", "MASTERDOWN", "TRYAGAIN", "NOAUTH"} <= UNAVAILABLE
    assert not UNAVAILABLE & {"ERR", "WRONGTYPE", "NOSCRIPT", "EXECABORT", "CROSSSLOT"}
    assert not UNAVAILABLE & REDIRECTS


def test_a_script_knows_its_digest() -> None:
    assert Script("one", "return 1").sha1 == hashlib.sha1(b"return 1").hexdigest()


def test_redirections_are_read() -> None:
    assert read_redirect("MOVED 3999 127.0.0.1:6381", "10.0.0.9") == (3999, ("127.0.0.1", 6381))
    assert read_redirect("ASK 1 redis.example.com:6379", "10.0.0.9") == (1, ("redis.example.com", 6379))
    assert read_redirect("MOVED 3999 ::1:6381", "10.0.0.9") == (3999, ("::1", 6381))
    assert read_redirect("MOVED 3999 ?:6381", "10.0.0.9") == (3999, ("10.0.0.9", 6381))
    assert read_redirect("MOVED 3999 :6381", "10.0.0.9") == (3999, ("10.0.0.9", 6381)), "the host that answered"


def test_the_table_of_a_cluster_is_learnt_and_corrected() -> None:
    slots = Slots([("seed", 1), ("seed", 2)])
    assert slots.host_of(7) == ("seed", 1)
    assert slots.primaries() == []
    slots.learn([[0, 9, [b"a", 1, b"id"], [b"replica", 9]], [10, 16383, [None, 2, b"id"]]], ("seed", 2))
    assert [slots.host_of(slot) for slot in (0, 9, 10, 16383)] == [("a", 1), ("a", 1), ("seed", 2), ("seed", 2)]
    slots.move(9, ("b", 3))
    assert slots.host_of(9) == ("b", 3)
    assert set(slots.primaries()) == {("a", 1), ("b", 3), ("seed", 2)}
    assert set(slots.to_ask()) == {("a", 1), ("b", 3), ("seed", 1), ("seed", 2)}
    slots.learn([], ("seed", 1))
    assert slots.host_of(0) == ("a", 1), "a table without slots tells nothing"
