"""Configuration → the parts it describes."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from pulse_gateway.catalog.catalog import Catalog
from pulse_gateway.catalog.override import Override
from pulse_gateway.catalog.settings import override_of, price_of
from pulse_gateway.config import (
    AliasConfig,
    Config,
    FetchConfig,
    HookConfig,
    LimitsConfig,
    ModerationConfig,
    ProviderConfig,
    allowance,
    parse_rate,
)
from pulse_gateway.errors import ConfigError, ModelNotFound
from pulse_gateway.moderation.chain import Chain, HookSpec
from pulse_gateway.moderation.moderator import Moderator
from pulse_gateway.pipeline.terms import ModelTerms, Terms
from pulse_gateway.providers import registry
from pulse_gateway.providers.provider import Provider
from pulse_gateway.providers.webhook import key_of
from pulse_gateway.routing.router import Router
from pulse_gateway.routing.targets import Alias, ProviderRow, Target
from pulse_gateway.transport.public_addresses import Allowed
from pulse_gateway.transport.public_fetch import PublicFetch
from pulse_gateway.transport.transport import DIRECT, HTTP2
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.identity import Allowance

__all__ = ["build_chain", "build_fetch", "build_router", "build_terms"]

_log = logging.getLogger(__name__)

# Source: RFC 9110 §5.6.2 (token) and §5.5 (field-value), without what only old servers send.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?")


def build_router(config: Config, catalog: Catalog, own_providers: Mapping[str, Provider]) -> Router:
    """Raises: ConfigError for a kind, an alias or a default that leads nowhere."""
    rows = {name: _provider_row(name, row, own_providers) for name, row in config.providers.items()}
    aliases = [_alias(name, alias, rows) for name, alias in config.models.items()]

    def offers(deployment: Deployment, operation: str) -> bool:
        described = own_providers.get(deployment.kind) or registry.provider(deployment.kind)
        return described.offer(operation, deployment) is not None

    router = Router(aliases, rows, catalog.overridden(_overrides(config, rows)), config.default_model, offers=offers)
    for name, alias in config.models.items():
        for fallback in alias.fallbacks:
            if not router.names_something(fallback):
                raise ConfigError(f"models.{name}.fallbacks: nothing is called {fallback!r}")
    for described in aliases:
        for target in described.targets:
            if target.provider not in rows and target.provider != "echo":
                _log.warning(
                    "models.%s: %s:%s is passed over, its provider is not switched on",
                    described.name, target.provider, target.model,
                )  # fmt: skip
    if config.default_model is not None:
        try:
            router.candidates(config.default_model)
        except ModelNotFound as error:
            raise ConfigError(f"default_model = {config.default_model!r}: {error.message}") from error
    return router


def build_chain(config: ModerationConfig, more: Sequence[Moderator] = ()) -> Chain:
    """The configured hooks, then `more` on both sides of every call.

    Raises: ConfigError for a hook that cannot be loaded.
    """
    return Chain(
        [*(_hook(hook) for hook in config.hooks), *(HookSpec(name=each.name, moderator=each) for each in more)]
    )


def build_fetch(config: FetchConfig) -> PublicFetch:
    """Raises: ConfigError for an exception that is no address, network or host."""
    return PublicFetch(
        enabled=config.enabled,
        max_bytes=config.max_bytes,
        timeout_s=config.timeout_s,
        ports=frozenset(config.ports),
        allowed=Allowed(config.allow_private),
    )


def _provider_row(name: str, row: ProviderConfig, own_providers: Mapping[str, Provider]) -> ProviderRow:
    kind = row.kind or name
    try:
        described = own_providers.get(kind) or registry.provider(kind)
    except ConfigError as error:
        raise ConfigError(f"providers.{name}.kind: {error}") from error
    base_url = row.base_url or described.base_url
    if not base_url:
        raise ConfigError(f"providers.{name}.base_url is needed: the kind {kind!r} has no address of its own")
    if not base_url.startswith("echo:"):
        _require_address(base_url, f"providers.{name}.base_url")
        if "@" in urlsplit(base_url).netloc:
            raise ConfigError(f"providers.{name}.base_url holds a user or a password, which are not sent; use headers")
    if row.proxy is not None:
        _require_address(row.proxy, f"providers.{name}.proxy")
        if row.transport == "http1":
            raise ConfigError(f"providers.{name}.transport: http1 goes through no proxy, httpx does")
    if row.transport == "http2" and find_spec("h2") is None:
        raise ConfigError(f"providers.{name}.transport: http2 needs `pip install 'pulse-gateway[http2]'`")
    if row.warm_connections and (_way(row) is not None or base_url.startswith("echo:")):
        raise ConfigError(
            f"providers.{name}.warm_connections: only http1 opens connections ahead, and goes through no proxy"
        )
    if row.key is not None and not _HEADER_VALUE.fullmatch(row.key) and not _is_document(row.key, described):
        raise ConfigError(f"providers.{name}.key holds a character that no header can carry, such as a line break")
    if row.webhook_secret is not None:
        try:
            key_of(row.webhook_secret)
        except ValueError as error:
            raise ConfigError(f"providers.{name}.webhook_secret is no secret of the form whsec_…") from error
    for header, value in row.headers.items():
        if not _HEADER_NAME.fullmatch(header) or not _HEADER_VALUE.fullmatch(value):
            raise ConfigError(f"providers.{name}.headers: {header!r} is not a name and value that HTTP can carry")
    return ProviderRow(
        name=name,
        kind=kind,
        base_url=base_url.rstrip("/"),
        key=row.key,
        headers=tuple((header.lower(), value) for header, value in row.headers.items()),
        timeouts=row.timeouts,
        abandoned=row.abandoned,
        proxy=_way(row),
        bucket=row.bucket,
        warm_connections=row.warm_connections,
    )


def _way(row: ProviderConfig) -> str | None:
    """What `Transport.send` is told as `proxy`; None: our own client, through none."""
    if row.transport == "http2":
        return HTTP2 + (row.proxy or DIRECT)
    return DIRECT if row.proxy is None and row.transport == "httpx" else row.proxy


def _is_document(key: str, described: Provider) -> bool:
    """Whether `key` is a file of credentials, which is no header but what one is made of."""
    return described.authorize is not None and key.lstrip().startswith("{")


def _require_address(url: str, key: str) -> None:
    """Raises: ConfigError that names `key`, and not the address: a password may be in it."""
    try:
        parts = urlsplit(url)
        well = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        well = False
    if not well:
        raise ConfigError(f"{key} is not an http or https address")


def _alias(name: str, alias: AliasConfig, rows: Mapping[str, ProviderRow]) -> Alias:
    targets = []
    for written in alias.targets:
        text, weight = (written, 1) if isinstance(written, str) else (written.target, written.weight)
        provider, separator, model = text.partition(":")
        if not separator or not model:
            raise ConfigError(f"models.{name}.targets: {text!r} is not of the form provider:model")
        if provider not in rows and provider not in registry.KINDS:
            raise ConfigError(
                f"models.{name}.targets: there is no provider {provider!r}; known: {', '.join(rows) or 'none'}"
            )
        targets.append(Target(provider=provider, model=model, weight=weight))
    return Alias(
        name=name,
        targets=tuple(targets),
        strategy=alias.strategy,
        fallbacks=tuple(alias.fallbacks),
        timeouts=alias.timeouts,
        price=None if alias.price is None else price_of(alias.price, f"models.{name}.price"),
    )


def _overrides(config: Config, rows: Mapping[str, ProviderRow]) -> dict[tuple[str, str], Override]:
    found: dict[tuple[str, str], Override] = {}
    for name, written in config.catalog.items():
        key = f'catalog."{name}"'
        provider, separator, model = name.partition(":")
        if not separator or not model:
            raise ConfigError(f"{key}: the table's name is not of the form provider:model")
        if provider not in rows and provider not in registry.KINDS:
            raise ConfigError(f"{key}: there is no provider {provider!r}; known: {', '.join(rows) or 'none'}")
        found[provider, model] = override_of(written, key)
    return found


def _hook(hook: HookConfig) -> HookSpec:
    moderator: Moderator
    if hook.name == "terms":
        from pulse_gateway.moderation.term_moderator import TermModerator  # only who has it loads its tables

        moderator = TermModerator(
            block_severity=hook.block_severity,
            file=None if hook.file is None else Path(hook.file),
            extra_terms=hook.extra_terms,
            exemptions=hook.exemptions,
        )
    else:
        moderator = _load_hook(hook.name)
    return HookSpec(
        name=hook.name,
        moderator=moderator,
        stages=frozenset(hook.on),
        on_error=hook.failure,
        timeout_s=hook.timeout_s,
    )


def _load_hook(path: str) -> Moderator:
    module, separator, name = path.partition(":")
    if not separator:
        raise ConfigError(f"moderation.hooks: {path!r} is neither `terms` nor of the form package.module:Class")
    try:
        return cast("Moderator", getattr(import_module(module), name)())
    except Exception as error:  # the module is not ours, and may raise anything
        raise ConfigError(f"moderation.hooks: {path!r} cannot be loaded: {type(error).__name__}: {error}") from error


def build_terms(config: LimitsConfig) -> Terms:
    """Raises: ConfigError."""
    return Terms(
        user=Allowance(
            requests=parse_rate(config.requests, "limits.requests"),
            tokens=parse_rate(config.tokens, "limits.tokens"),
            concurrency=config.concurrency,
        ),
        key=allowance(config.key, "limits.key"),
        tenant=allowance(config.tenant, "limits.tenant"),
        models={
            name: ModelTerms(
                Allowance(
                    requests=parse_rate(model.requests, f"limits.models.{name}.requests"),
                    tokens=parse_rate(model.tokens, f"limits.models.{name}.tokens"),
                    concurrency=model.concurrency,
                ),
                per_user=model.per == "user",
            )
            for name, model in config.models.items()
        },
        anonymous=parse_rate(config.anonymous, "limits.anonymous"),
        unpriced=config.unpriced,
    )
