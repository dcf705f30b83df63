"""Writes docs/configuration.md from the structs: `python -m pulse_host.configuration_page [--check] FILE`."""

from __future__ import annotations

import sys
import types
import typing
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import NODEFAULT, Meta, Struct
from msgspec.structs import FieldInfo

from pulse_gateway import config as settings
from pulse_gateway.environment import VENDORS, Vendor
from pulse_gateway.types.http import Timeouts

__all__ = ["page"]

_SECTIONS: tuple[tuple[str, type[Struct], str], ...] = (
    ("server", settings.ServerConfig, "[server]"),
    ("stores", settings.StoresConfig, "[stores]"),
    ("providers", settings.ProviderConfig, "[providers.NAME]"),
    ("timeouts", Timeouts, "[providers.NAME.timeouts]"),
    ("models", settings.AliasConfig, "[models.ALIAS]"),
    ("targets", settings.TargetConfig, "a table in `targets`"),
    ("catalog", settings.ModelConfig, '[catalog."PROVIDER:MODEL"]'),
    ("price", settings.PriceConfig, '[catalog."PROVIDER:MODEL".price]` and `[models.ALIAS.price]'),
    ("capabilities", settings.CapabilitiesConfig, '[catalog."PROVIDER:MODEL".capabilities]'),
    ("limits", settings.LimitsConfig, "[limits]"),
    ("key", settings.AllowanceConfig, "[limits.key]` and `[limits.tenant]"),
    ("models", settings.ModelLimitsConfig, "[limits.models.NAME]"),
    ("without_redis", settings.WithoutRedisConfig, "[limits.without_redis]"),
    ("plans", settings.PlanConfig, "[plans.NAME]"),
    ("moderation", settings.ModerationConfig, "[moderation]"),
    ("hooks", settings.HookConfig, "[[moderation.hooks]]"),
    ("retries", settings.RetriesConfig, "[retries]"),
    ("fetch", settings.FetchConfig, "[fetch]"),
    ("network", settings.NetworkConfig, "[network]"),
    ("telemetry", settings.TelemetryConfig, "[telemetry]"),
)

_TIMEOUT_NOTES = {
    "connect_s": "to get a connection: a free one, or a new one, the look-up of its name included",
    "tls_s": "for the handshake of a new connection",
    "write_s": "for a provider that takes nothing of a request",
    "first_byte_s": "from the request to the head of the answer",
    "idle_s": "between two chunks of an answer",
    "total_s": "from the request to the last byte of the answer",
}

_INTRO = """# Configuration

<!-- Generated from the structs in src/pulse_gateway/config.py by `make docs`. -->

One optional TOML file: `--config FILE`, else `PULSE_CONFIG`, else `./pulse.toml`. The environment overrides it. Unknown keys
are refused with the nearest valid name. Secrets are references, `env:NAME` or `file:PATH`, and are never printed. SIGHUP or a
change of the file reads it again: a valid one is swapped in whole, an invalid one is reported and the last good one stays;
`[server]`, `[stores]`, `[network]`, and in `[limits]` how they are counted (`store`, `lease_s`, `deadline_ms`, `replicas`, `without_redis`) take a
restart. Names end in their unit: `_s` seconds, `_bytes` bytes.

```toml
[providers.openai]
key = "env:OPENAI_API_KEY"

[models.fast]                                  # clients send "model": "fast"
targets = ["openai:gpt-5.4-mini", "anthropic:claude-haiku-4-5"]

[plans.team]
tokens = 5_000_000

[[moderation.hooks]]
name = "terms"
on = ["prompt", "answer"]
```

## Environment

| variable | meaning |
| --- | --- |
| `PULSE_CONFIG` | the config file |
| `PULSE_DATABASE_URL`, `PULSE_REDIS_URL` | `stores.database_url`, `stores.redis_url` |
| `PULSE_JOURNAL_DIR` | `stores.journal_dir` |
| `PULSE_PUBLIC_URL` | `server.public_url` |
| `PULSE_RATE_LIMIT` | `limits.requests`: `60/60s`, or `off` |
| `PULSE_LOG_LEVEL`, `PULSE_LOG_FORMAT` | `telemetry.log_level`, `telemetry.log_format` |
| `PULSE_TRACES_SAMPLE` | `telemetry.traces_sample`; where traces go is said by the standard `OTEL_*` variables ([traces.md](traces.md)) |
| `PULSE_DEV_API_KEY`, `PULSE_DEV_PLAN` | `pulse dev` alone: use this API key, whatever its form; put its user on this plan |
"""


def page() -> str:
    """The whole document."""
    lines = [_INTRO.rstrip()]
    lines += [
        f"| {', '.join(f'`{name}`' for name in vendor.all_variables)} | provider `{vendor.name}`: {_switch(vendor)} |"
        for vendor in VENDORS
    ]
    lines += ["", "## Top level", "", *_table(settings.Config, skip=_is_section)]
    for _, struct, title in _SECTIONS:
        lines += [
            "",
            f"## `{title}`" if title.startswith("[") else f"## {title}",
            "",
            _summary(struct),
            "",
            *_table(struct),
        ]
    lines += ["", "Built-in plans:", ""]
    lines += [
        f"- `{name}`: {plan.tokens:,} tokens, {plan.images} images, {plan.videos} videos a month"
        if plan.tokens is not None
        else f"- `{name}`: metered, without a cap"
        for name, plan in settings.DEFAULT_PLANS.items()
    ]
    return "\n".join(lines) + "\n"


def _switch(vendor: Vendor) -> str:
    """What switches it on."""
    if vendor.needs_address:
        return f"on when its key and its address are set{', or its base URL alone' if vendor.keyless else ''}"
    if vendor.key_file_variable is not None:
        return "on when its key, its base URL, or a project and a file of credentials are set"
    return f"on when its {'base URL' if vendor.keyless else 'key'} is set"


def _is_section(field: FieldInfo) -> bool:
    return field.encode_name in {
        "server",
        "stores",
        "providers",
        "models",
        "catalog",
        "limits",
        "moderation",
        "retries",
        "fetch",
        "network",
        "telemetry",
    }


def _summary(struct: type[Struct]) -> str:
    return (struct.__doc__ or "").strip().splitlines()[0]


def _table(struct: type[Struct], skip: Any = None) -> list[str]:
    rows = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    for field in msgspec.structs.fields(struct):
        if skip is None or not skip(field):
            kind, meaning = _kind(field.type), _meaning(field)
            rows.append(f"| `{field.encode_name}` | {kind} | {_default(field)} | {meaning} |")
    return rows


def _meaning(field: FieldInfo) -> str:
    if typing.get_origin(field.type) is Annotated:
        for extra in reversed(typing.get_args(field.type)[1:]):
            if isinstance(extra, Meta) and extra.description:
                return extra.description
    return _TIMEOUT_NOTES.get(field.encode_name, "")


def _default(field: FieldInfo) -> str:
    if field.default_factory is not NODEFAULT:
        return f"`{_toml(field.default_factory())}`"
    if field.default is NODEFAULT:
        return "required"
    if field.default is None:
        return "none"
    return "see below" if isinstance(field.default, Struct) else f"`{_toml(field.default)}`"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return msgspec.json.encode(value).decode()


def _kind(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0])
    if origin in {typing.Union, types.UnionType}:
        return " or ".join(_kind(option) for option in arguments if option is not type(None))
    if origin is typing.Literal:
        return ", ".join(f"`{option}`" for option in arguments)
    if origin in {list, tuple}:
        return f"list of {_kind(arguments[0])}"
    if origin is dict:
        return f"table of {_kind(arguments[1])}"
    names = {str: "string", int: "integer", float: "number", bool: "boolean"}
    return names.get(annotation, "table")


def _main(arguments: list[str]) -> int:
    only_check = "--check" in arguments
    file = Path(next(argument for argument in arguments if not argument.startswith("-")))
    text = page()
    if only_check:
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            sys.stderr.write(f"{file} is not what the structs say; run `make docs`\n")
            return 1
        return 0
    file.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
