"""How the address of Redis is spelled. Pure; nothing here shows a password."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NoReturn
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import msgspec

from pulse_gateway.errors import ConfigError

__all__ = ["RedisAddress", "read_address"]

_TOPOLOGIES: Mapping[str, Literal["single", "sentinel", "cluster"]] = {
    "": "single",
    "sentinel": "sentinel",
    "cluster": "cluster",
}
_PORTS = {"single": 6379, "sentinel": 26379, "cluster": 6379}
_TLS_OPTIONS = frozenset({
    "ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_ciphers", "ssl_keyfile",
})  # fmt: skip
_SENTINEL_OPTIONS = frozenset({"sentinel_username", "sentinel_password"})
_SPELLINGS = (
    "redis://[[user]:password@]host[:port][/db], rediss://… for TLS, unix://[[user]:password@]/path[?db=0], "
    "redis+sentinel://[[user]:password@]host[:26379][,host…]/primary[/db] or redis+cluster://[[user]:password@]host[:port][,host…]"
)


class RedisAddress(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """Where Redis is. `hosts`: the server, the sentinels, or nodes of the cluster; empty when `path` names a socket.

    `tls` holds redis-py's own options (`ssl_ca_certs` …), None without TLS. Shown, it names no password.
    """

    topology: Literal["single", "sentinel", "cluster"]
    hosts: tuple[tuple[str, int], ...] = ()
    path: str | None = None
    primary: str = ""
    db: int = 0
    username: str | None = None
    password: str | None = None
    sentinel_username: str | None = None
    sentinel_password: str | None = None
    tls: dict[str, str | bool] | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return self.path
        hosts = ",".join(f"{host}:{port}" for host, port in self.hosts)
        return f"{self.primary} of sentinels {hosts}" if self.topology == "sentinel" else hosts

    def __repr__(self) -> str:
        return f"<RedisAddress {self}>"


def read_address(url: str) -> RedisAddress:
    """Raises: ConfigError, which says how an address is spelled and shows nothing of the one given."""
    try:
        parts = urlsplit(url)
        scheme, _, topology = parts.scheme.partition("+")
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        _refuse("it is no URL")
    if parts.fragment:
        _refuse("it has a #, which must be spelled %23 in a password")
    if scheme == "unix" and not topology:
        return _socket(parts, options)
    if scheme not in {"redis", "rediss"} or topology not in _TOPOLOGIES:
        _refuse("its scheme is none of these")
    kind = _TOPOLOGIES[topology]
    userinfo, _, hosts = parts.netloc.rpartition("@")
    username, password = _credentials(userinfo)
    path = [unquote(part) for part in parts.path.split("/") if part]
    primary = ""
    if kind == "sentinel":
        if not path:
            _refuse("the name of the primary is missing behind the sentinels")
        primary = path.pop(0)
    if "db" in options:
        path.append(options.pop("db"))
    allowed = (_TLS_OPTIONS if scheme == "rediss" else frozenset()) | (
        _SENTINEL_OPTIONS if kind == "sentinel" else frozenset()
    )
    if len(path) > 1 or options.keys() - allowed:
        _refuse("it has parts or options that mean nothing here; in a password, / is spelled %2F and ? is %3F")
    db = _number(path[0], 0, 2**31) if path else 0
    if kind == "cluster" and db:
        _refuse("a cluster has no database but 0")
    return RedisAddress(
        topology=kind,
        hosts=_hosts(hosts, _PORTS[kind], only_one=kind == "single"),
        primary=primary,
        db=db,
        username=username,
        password=password,
        sentinel_username=options.pop("sentinel_username", None),
        sentinel_password=options.pop("sentinel_password", None),
        tls=_tls(options) if scheme == "rediss" else None,
    )


def _socket(parts: SplitResult, options: dict[str, str]) -> RedisAddress:
    userinfo, at, host = parts.netloc.rpartition("@")
    if host or not parts.path or options.keys() - {"db"}:
        _refuse("a socket's path begins with /")
    username, password = _credentials(userinfo) if at else (None, None)
    db = _number(options["db"], 0, 2**31) if "db" in options else 0
    return RedisAddress(topology="single", path=unquote(parts.path), db=db, username=username, password=password)


def _credentials(userinfo: str) -> tuple[str | None, str | None]:
    username, _, password = userinfo.partition(":")
    return unquote(username) or None, unquote(password) or None


def _hosts(text: str, port: int, *, only_one: bool) -> tuple[tuple[str, int], ...]:
    found = []
    for one in text.split(","):
        host, colon, given = one.rpartition(":")
        if not colon or given.endswith("]"):  # no port; the colons are those of [::1]
            host, given = one, ""
        host = unquote(host.removeprefix("[").removesuffix("]"))
        if not host:
            _refuse("a host is missing")
        found.append((host, _number(given, 1, 65535) if given else port))
    if only_one and len(found) > 1:
        _refuse("several hosts need +sentinel or +cluster")
    return tuple(found)


def _tls(options: Mapping[str, str]) -> dict[str, str | bool]:
    certificates = options.get("ssl_cert_reqs", "required")
    if certificates not in {"required", "optional", "none"}:
        _refuse("ssl_cert_reqs is required, optional or none")
    names = options.get("ssl_check_hostname", "false" if certificates == "none" else "true")
    if names not in {"true", "false"}:
        _refuse("ssl_check_hostname is true or false")
    return {**options, "ssl_cert_reqs": certificates, "ssl_check_hostname": names == "true"}


def _number(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        _refuse("a port or the database's number is none")
    return int(text)


def _refuse(why: str) -> NoReturn:
    raise ConfigError(f"stores.redis_url cannot be read: {why}. Write it as {_SPELLINGS}") from None
