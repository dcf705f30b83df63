"""What may be fetched from: the public part of the internet, however an address is written."""

from __future__ import annotations

import pytest

from pulse_gateway.errors import ConfigError
from pulse_gateway.transport.public_addresses import Allowed


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_public_addresses_may_be_fetched_from(address: str) -> None:
    assert Allowed().address(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.9.10", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "100.100.100.200", "192.0.0.192", "168.63.129.16", "224.0.0.1", "240.0.0.1", "255.255.255.255", "198.18.0.1",
        "192.0.2.1", "203.0.113.9", "192.88.99.1",
        "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1",
        "fd00:ec2::254", "2002:7f00:1::", "2002:a9fe:a9fe::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "3fff::1", "5f00::1", "ff02::1", "nonsense", "",
    ],
)  # fmt: skip
def test_no_other_address_may(address: str) -> None:
    assert not Allowed().address(address)


def test_exceptions_are_addresses_networks_and_hosts() -> None:
    allowed = Allowed(["10.1.0.0/16", "::1", "Files.Corp."])
    assert allowed.address("10.1.2.3") and allowed.address("::ffff:10.1.2.3") and allowed.address("::1")
    assert not allowed.address("10.2.0.1") and not allowed.address("127.0.0.1")
    assert allowed.host("files.corp") and allowed.host("FILES.CORP.") and not allowed.host("evil.files.corp")


@pytest.mark.parametrize("written", ["10.0.0.1/8", "", " host"])
def test_an_exception_that_is_none_is_refused_at_the_start(written: str) -> None:
    with pytest.raises(ConfigError):
        Allowed([written])
