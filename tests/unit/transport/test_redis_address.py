from __future__ import annotations

import pytest

from pulse_gateway.errors import ConfigError
from pulse_gateway.transport.redis_address import read_address


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost", "localhost:6379"),
        ("redis://:sesam@10.0.0.1:7000/3", "10.0.0.1:7000"),
        ("rediss://user:sesam@redis.example.com", "redis.example.com:6379"),
        ("redis://[::1]:7000", "::1:7000"),
        ("redis://[::1]", "::1:6379"),
        ("unix:///run/redis.sock?db=2", "/run/redis.sock"),
        ("unix://:sesam@/run/redis.sock", "/run/redis.sock"),
        ("redis+sentinel://:sesam@a:26379,b,c:1/main/2", "main of sentinels a:26379,b:26379,c:1"),
        ("redis+cluster://a:7000,b:7001", "a:7000,b:7001"),
        ("rediss+cluster://:sesam@a:7000", "a:7000"),
    ],
)
def test_an_address_is_read_and_shown_without_its_password(url: str, shown: str) -> None:
    address = read_address(url)
    assert str(address) == shown
    assert "sesam" not in repr(address)
    assert "sesam" not in str(address)
    assert address.password == ("sesam" if "sesam" in url else None)


def test_every_part_is_found() -> None:
    address = read_address("redis+sentinel://me:p%40ss%2F@a:1,b:2/main/4?sentinel_username=s&sentinel_password=t")
    assert address.topology == "sentinel"
    assert address.hosts == (("a", 1), ("b", 2))
    assert (address.username, address.password, address.primary, address.db) == ("me", "p@ss/", "main", 4)
    assert (address.sentinel_username, address.sentinel_password) == ("s", "t")
    assert read_address("redis://localhost?db=5").db == 5
    assert read_address("unix:///s?db=5").db == 5
    assert read_address("redis://localhost").tls is None


def test_tls_checks_the_name_unless_told_otherwise() -> None:
    assert read_address("rediss://a").tls == {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    assert read_address("rediss://a?ssl_check_hostname=false&ssl_ca_certs=/ca.pem").tls == {
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": False,
        "ssl_ca_certs": "/ca.pem",
    }
    assert read_address("rediss://a?ssl_cert_reqs=none").tls == {"ssl_cert_reqs": "none", "ssl_check_hostname": False}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sesam",
        "http://:sesam@localhost",
        "redis://",
        "redis://:sesam@",
        "redis://:se#sam@localhost",
        "redis://:se/sam@localhost",
        "redis://:se?sam@localhost",
        "redis://:se[sam@localhost",
        "redis://localhost:sesam",
        "redis://localhost:0",
        "redis://localhost:65536",
        "redis://localhost/sesam",
        "redis://localhost/1/2",
        "redis://localhost/-1",
        "redis://a,b",
        "redis://localhost?ssl_ca_certs=/sesam",
        "redis://localhost?sesam=1",
        "rediss://localhost?ssl_cert_reqs=sesam",
        "rediss://localhost?ssl_check_hostname=sesam",
        "unix://sesam/run/redis.sock",
        "unix://",
        "unix:///run/redis.sock?db=sesam",
        "unix+sentinel:///run/redis.sock",
        "redis+sentinel://a:1",
        "redis+sentinel://a:1,/main",
        "redis+cluster://a:1/3",
        "redis+sesam://a:1",
    ],
)
def test_an_address_that_cannot_be_read_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        read_address(url)
    assert "sesam" not in str(refusal.value)
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None
    assert "redis+sentinel://" in str(refusal.value), "it says how one is spelled"
