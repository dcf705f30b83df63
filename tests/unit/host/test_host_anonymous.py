"""Who sent a request, and how many without a valid key one sender may send."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from pulse_gateway.errors import ConfigError, RateLimited
from pulse_gateway.testing import FakeClock
from pulse_host import anonymous
from pulse_host.anonymous import AnonymousLimit
from pulse_host.client_address import ClientAddresses


def scope(peer: str | None, *forwarded: str, **other: str) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    headers += [(name.replace("_", "-").encode(), value.encode()) for name, value in other.items()]
    return {"client": None if peer is None else (peer, 4711), "headers": headers}


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        ([], "192.0.2.7", ["198.51.100.1"], "192.0.2.7"),  # anybody may write this header
        (["10.0.0.0/8"], "192.0.2.7", ["198.51.100.1"], "192.0.2.7"),
        (["10.0.0.0/8"], "10.1.2.3", ["198.51.100.1"], "198.51.100.1"),
        (["10.0.0.0/8"], "10.1.2.3", [], "10.1.2.3"),
        (["10.1.2.3"], "10.1.2.3", ["203.0.113.9, 198.51.100.1"], "198.51.100.1"),  # what came before is the client's own word
        (["10.0.0.0/8"], "10.1.2.3", ["203.0.113.9, 198.51.100.1, 10.9.9.9"], "198.51.100.1"),
        (["10.0.0.0/8"], "10.1.2.3", ["203.0.113.9", "198.51.100.1", "10.9.9.9"], "198.51.100.1"),  # a line a proxy
        (["10.0.0.0/8"], "10.1.2.3", ["10.7.7.7, 10.8.8.8"], "10.7.7.7"),  # everybody is one of ours
        (["10.0.0.0/8"], "10.1.2.3", ["198.51.100.1, unknown, 10.9.9.9"], "10.9.9.9"),
        (["10.0.0.0/8"], "10.1.2.3", [""], "10.1.2.3"),
        (["10.0.0.0/8"], "10.1.2.3", ["198.51.100.1:50123"], "198.51.100.1"),
        (["::1"], "::1", ["[2001:db8::7]:443"], "2001:db8::7"),
        (["::1"], "::1", ["2001:db8::7"], "2001:db8::7"),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ([], None, ["198.51.100.1"], None),
        (["10.0.0.0/8"], None, ["198.51.100.1"], None),
        (["unix"], None, ["198.51.100.1"], "198.51.100.1"),
        (["unix"], None, [], None),
        (["unix", "10.0.0.0/8"], None, ["198.51.100.1, 10.9.9.9"], "198.51.100.1"),
    ],
)  # fmt: skip
def test_the_client_is_the_last_hop_that_is_no_trusted_proxy(
    trusted: list[str], peer: str | None, forwarded: list[str], client: str | None
) -> None:
    found = ClientAddresses(trusted).of(scope(peer, *forwarded))
    assert found == (None if client is None else ipaddress.ip_address(client))


@pytest.mark.parametrize("text", ["10.0.0.1/8", "proxy.example", "10.0.0.0/40", ""])
def test_a_proxy_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match=r"server\.trusted_proxies: '"):
        ClientAddresses([text])


class Counted:
    def __init__(self, rate: tuple[int, float] | None = (3, 60.0), trusted: tuple[str, ...] = ()) -> None:
        self.rate, self.clock = rate, FakeClock()
        self.limit = AnonymousLimit(lambda: self.rate, ClientAddresses(trusted), clock=self.clock)

    def heard(self, scope: dict[str, Any]) -> bool:
        try:
            self.limit.count(scope)
        except RateLimited:
            return False
        return True


def test_so_many_are_heard_in_a_window_and_those_refused_do_not_lengthen_it() -> None:
    counted = Counted()
    heard = []
    for _ in range(5):
        heard.append(counted.heard(scope("192.0.2.7")))
        counted.clock.advance(5)
    assert heard == [True, True, True, False, False]
    with pytest.raises(RateLimited) as caught:
        counted.limit.count(scope("192.0.2.7"))
    assert caught.value.retry_after_s == pytest.approx(35)
    counted.clock.advance(caught.value.retry_after_s)
    assert counted.heard(scope("192.0.2.7"))


def test_each_address_is_counted_for_itself() -> None:
    counted = Counted(rate=(1, 60.0))
    assert [counted.heard(scope(f"192.0.2.{number}")) for number in (1, 1, 2, 2)] == [True, False, True, False]


def test_an_ipv6_network_of_one_subscriber_is_one_client() -> None:
    counted = Counted(rate=(1, 60.0))
    assert counted.heard(scope("2001:db8:0:1::1"))
    assert not counted.heard(scope("2001:db8:0:1:ffff::2"))
    assert counted.heard(scope("2001:db8:0:2::1"))


def test_what_a_client_writes_into_headers_does_not_make_it_another_client() -> None:
    counted = Counted(rate=(60, 60.0))
    rotating = [
        scope(
            "192.0.2.7",
            f"198.51.{number % 256}.1",
            forwarded=f"for=198.51.100.{number % 256}",
            x_real_ip=f"203.0.113.{number % 256}",
            x_client_ip=f"203.0.113.{number % 256}",
        )
        for number in range(1000)
    ]
    assert sum(map(counted.heard, rotating)) == 60
    assert len(counted.limit) == 1


def test_behind_a_trusted_proxy_what_stands_before_the_last_hop_is_not_believed() -> None:
    counted = Counted(rate=(60, 60.0), trusted=("10.0.0.0/8",))
    heard = [counted.heard(scope("10.0.0.1", f"198.51.100.{number % 256}, 192.0.2.7")) for number in range(1000)]
    assert sum(heard) == 60
    assert counted.heard(scope("10.0.0.1", "192.0.2.8"))


def test_a_unix_socket_without_a_name_behind_it_is_one_client() -> None:
    counted = Counted(rate=(1, 60.0))
    assert [counted.heard(scope(None)) for _ in range(2)] == [True, False]


def test_switched_off_nothing_is_refused_or_remembered_and_a_new_rate_counts_at_once() -> None:
    counted = Counted(rate=None)
    assert all(counted.heard(scope("192.0.2.7")) for _ in range(1000))
    assert len(counted.limit) == 0
    counted.rate = (1, 60.0)
    assert [counted.heard(scope("192.0.2.7")) for _ in range(2)] == [True, False]


def test_only_so_many_clients_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anonymous, "_MOST_CLIENTS", 10)
    counted = Counted(rate=(1, 60.0))
    for number in range(100):
        assert counted.heard(scope(f"192.0.2.{number}"))
    assert len(counted.limit) == 10
    assert not counted.heard(scope("192.0.2.99"))
    assert counted.heard(scope("192.0.2.1"))  # long forgotten


def test_a_client_whose_window_began_anew_is_not_the_next_to_be_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anonymous, "_MOST_CLIENTS", 2)
    counted = Counted(rate=(1, 60.0))
    counted.heard(scope("192.0.2.1"))
    counted.clock.advance(1)
    counted.heard(scope("192.0.2.2"))
    counted.clock.advance(59)
    assert counted.heard(scope("192.0.2.1"))
    assert counted.heard(scope("192.0.2.3"))
    assert not counted.heard(scope("192.0.2.1"))
