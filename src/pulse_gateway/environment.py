"""The environment and the config file → `Config`. The one file of the library that reads `os.environ` or a config file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from pulse_gateway.cloud_addresses import azure_address, bedrock_address, vertex_address
from pulse_gateway.config import Config, ProviderConfig, decode, parse_rate
from pulse_gateway.errors import ConfigError

__all__ = ["VENDORS", "Vendor", "find_config_file", "load_config", "resolve_secret"]


class Vendor(msgspec.Struct, frozen=True, kw_only=True):
    """Which variables switch a provider on. `keyless`: a base URL alone does, since local servers need no key.

    `key_file_variable` names a file that holds the key. `address` puts a base URL together from more `variables`, given the one that
    is configured; `needs_address`: the vendor has none of its own.
    """

    name: str
    kind: str
    key_variables: tuple[str, ...]
    base_url_variable: str
    keyless: bool = False
    key_file_variable: str | None = None
    variables: tuple[str, ...] = ()
    needs_address: bool = False
    address: Callable[[Mapping[str, str], str | None], str | None] | None = None

    @property
    def all_variables(self) -> tuple[str, ...]:
        file = () if self.key_file_variable is None else (self.key_file_variable,)
        return (*self.key_variables, *file, self.base_url_variable, *self.variables)


def _vendor(
    name: str, prefix: str, *, kind: str | None = None, keyless: bool = False, more: tuple[str, ...] = ()
) -> Vendor:
    return Vendor(
        name=name,
        kind=kind or name,
        key_variables=(f"{prefix}_API_KEY", *more),
        base_url_variable=f"{prefix}_BASE_URL",
        keyless=keyless,
    )


VENDORS = (
    _vendor("openai", "OPENAI"),
    _vendor("anthropic", "ANTHROPIC"),
    _vendor("google", "GEMINI", more=("GOOGLE_API_KEY",)),
    _vendor("groq", "GROQ"),
    _vendor("mistral", "MISTRAL"),
    _vendor("deepseek", "DEEPSEEK"),
    _vendor("xai", "XAI"),
    _vendor("together", "TOGETHER"),
    _vendor("fireworks", "FIREWORKS"),
    _vendor("cerebras", "CEREBRAS"),
    _vendor("openrouter", "OPENROUTER"),
    _vendor("perplexity", "PERPLEXITY"),
    _vendor("ollama", "OLLAMA", keyless=True),
    _vendor("vllm", "VLLM", keyless=True),
    _vendor("lmstudio", "LMSTUDIO", keyless=True),
    Vendor(
        name="replicate",
        kind="replicate",
        key_variables=("REPLICATE_API_TOKEN",),
        base_url_variable="REPLICATE_BASE_URL",
    ),
    _vendor("stability", "STABILITY"),
    Vendor(
        name="azure",
        kind="azure",
        key_variables=("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN"),
        base_url_variable="AZURE_OPENAI_BASE_URL",
        variables=("AZURE_OPENAI_ENDPOINT", "OPENAI_API_VERSION"),
        address=azure_address,
        needs_address=True,
    ),
    Vendor(
        name="vertex",
        kind="vertex",
        key_variables=("VERTEX_API_KEY",),
        key_file_variable="GOOGLE_APPLICATION_CREDENTIALS",
        base_url_variable="VERTEX_BASE_URL",
        variables=("GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION"),
        address=vertex_address,
        keyless=True,
    ),
    Vendor(
        name="bedrock",
        kind="bedrock",
        key_variables=("AWS_BEARER_TOKEN_BEDROCK",),
        base_url_variable="BEDROCK_BASE_URL",
        variables=("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
        address=bedrock_address,
        needs_address=True,
        keyless=True,
    ),
)


_VARIABLES = (
    "PULSE_CONFIG", "PULSE_DATABASE_URL", "PULSE_DEV_API_KEY", "PULSE_DEV_PLAN", "PULSE_JOURNAL_DIR", "PULSE_LOG_FORMAT",
    "PULSE_LOG_LEVEL", "PULSE_PUBLIC_URL", "PULSE_RATE_LIMIT", "PULSE_REDIS_URL", "PULSE_S3_BUCKET", "PULSE_S3_ENDPOINT_URL",
    "PULSE_S3_QUARANTINE_BUCKET", "PULSE_SECRET_KEY", "PULSE_TRACES_SAMPLE",
)  # fmt: skip


def find_config_file(path: str | None, environ: Mapping[str, str]) -> Path | None:
    """`path`, else PULSE_CONFIG, else ./pulse.toml where it exists, else none.

    Raises: ConfigError when a file that was asked for does not exist.
    """
    asked = path or environ.get("PULSE_CONFIG")
    if asked:
        file = Path(asked)
        if not file.is_file():
            origin = "--config" if path else "PULSE_CONFIG"
            raise ConfigError(f"{file}: no such file (named by {origin}); create it or leave {origin} out")
        return file
    default = Path("pulse.toml")
    return default if default.is_file() else None


def load_config(path: str | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """The file, overridden by the environment, with every secret reference resolved.

    Raises: ConfigError naming the key, the file or variable, and the fix.
    """
    environ = os.environ if environ is None else environ
    _refuse_misspelt(environ)
    file = find_config_file(path, environ)
    config = Config()
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file}: cannot be read: {error}") from error
        config = decode(text, str(file))
    return _resolve(_overlay(config, environ), str(file or "environment"), environ)


def _refuse_misspelt(environ: Mapping[str, str]) -> None:
    """Other programs have variables that begin with PULSE_ too, so only what is nearly one of ours is refused."""
    for name in environ:
        if name.startswith("PULSE_") and name not in _VARIABLES:
            from difflib import get_close_matches  # who spells all right need not load it

            near = get_close_matches(name, _VARIABLES, n=1, cutoff=0.85)
            if near:
                raise ConfigError(f"the variable {name} is set, which means nothing here; did you mean {near[0]}?")


def _overlay(config: Config, environ: Mapping[str, str]) -> Config:
    """`config` with every PULSE_ variable and every vendor's key put over it."""
    replace = msgspec.structs.replace
    stores = replace(
        config.stores,
        database_url=environ.get("PULSE_DATABASE_URL") or config.stores.database_url,
        redis_url=environ.get("PULSE_REDIS_URL") or config.stores.redis_url,
        journal_dir=environ.get("PULSE_JOURNAL_DIR") or config.stores.journal_dir,
    )
    server = replace(config.server, public_url=environ.get("PULSE_PUBLIC_URL") or config.server.public_url)
    limits = config.limits
    if rate := environ.get("PULSE_RATE_LIMIT"):
        parse_rate(rate, "PULSE_RATE_LIMIT")
        limits = replace(limits, requests=rate)
    telemetry = config.telemetry
    for variable, field, allowed in (
        ("PULSE_LOG_LEVEL", "log_level", ("debug", "info", "warning", "error")),
        ("PULSE_LOG_FORMAT", "log_format", ("json", "console")),
    ):
        if value := environ.get(variable):
            if value not in allowed:
                raise ConfigError(f"{variable}={value!r} is not one of {', '.join(allowed)}")
            telemetry = replace(telemetry, **{field: value})
    if share := environ.get("PULSE_TRACES_SAMPLE"):
        telemetry = replace(telemetry, traces_sample=_share(share, "PULSE_TRACES_SAMPLE"))
    return replace(
        config,
        stores=stores,
        server=server,
        limits=limits,
        telemetry=telemetry,
        providers={**config.providers, **_vendors_on(config, environ)},
    )


def _share(text: str, variable: str) -> float:
    """Raises: ConfigError."""
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ConfigError(f"{variable}={text!r} is not a number from 0 to 1; write 0.01 for one in a hundred")
    return share


def _vendors_on(config: Config, environ: Mapping[str, str]) -> dict[str, ProviderConfig]:
    found: dict[str, ProviderConfig] = {}
    for vendor in VENDORS:
        key = _key_reference(vendor, environ)
        base_url = environ.get(vendor.base_url_variable)
        written = config.providers.get(vendor.name)
        if written is None and key is None and not (vendor.keyless and base_url):
            continue
        row = written or ProviderConfig(kind=vendor.kind)
        address = base_url or row.base_url
        if vendor.address is not None and (row.kind or vendor.name) == vendor.kind:
            address = vendor.address(environ, address)
        if written is None and address is None and vendor.needs_address:
            continue  # a key for something that is nowhere: it may be meant for another program
        # A key in the file was chosen for this provider on purpose; the environment's is the general one.
        found[vendor.name] = msgspec.structs.replace(row, key=row.key or key, base_url=address)
    return found


def _key_reference(vendor: Vendor, environ: Mapping[str, str]) -> str | None:
    """To the first of the vendor's variables that is set. A file is one only beside the variable that says what it is for."""
    named = next((name for name in vendor.key_variables if environ.get(name)), None)
    if named is not None:
        return f"env:{named}"
    file = environ.get(vendor.key_file_variable) if vendor.key_file_variable is not None else None
    return f"file:{file}" if file and all(environ.get(name) for name in vendor.variables[:1]) else None


def _resolve(config: Config, source: str, environ: Mapping[str, str]) -> Config:
    replace = msgspec.structs.replace
    providers = {
        name: replace(
            row,
            key=resolve_secret(row.key, f"{source}: providers.{name}.key", environ),
            webhook_secret=resolve_secret(row.webhook_secret, f"{source}: providers.{name}.webhook_secret", environ),
            headers={
                header: resolve_secret(value, f"{source}: providers.{name}.headers.{header}", environ, plain=True) or ""
                for header, value in row.headers.items()
            },
        )
        for name, row in config.providers.items()
    }
    stores = replace(
        config.stores,
        database_url=resolve_secret(config.stores.database_url, f"{source}: stores.database_url", environ, plain=True),
        redis_url=resolve_secret(config.stores.redis_url, f"{source}: stores.redis_url", environ, plain=True),
    )
    return replace(config, providers=providers, stores=stores)


def resolve_secret(reference: str | None, key: str, environ: Mapping[str, str], *, plain: bool = False) -> str | None:
    """What `env:NAME` or `file:PATH` refers to. `plain`: other text is the value itself, not a mistake.

    Raises: ConfigError that names `key` and never the secret.
    """
    if reference is None:
        return None
    scheme, separator, rest = reference.partition(":")
    if separator and scheme == "env":
        value = environ.get(
            rest, ""
        ).strip()  # a line break at the end comes easily with a secret, and is never part of it
        if not value:
            raise ConfigError(
                f"{key} refers to the variable {rest}, which is not set; export it or change the reference"
            )
        return value
    if separator and scheme == "file":
        try:
            return Path(rest).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{key} refers to a file that cannot be read: {error}") from error
    if separator and scheme == "aws-sm":
        raise ConfigError(f"{key}: this version cannot read aws-sm: references; use env:NAME or file:PATH")
    if plain:
        return reference
    raise ConfigError(f"{key} holds a secret in the open; write env:NAME or file:PATH instead")
