"""Limits of a key or a tenant, as they are written on the command line and shown there."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import wraps
from typing import Any, TypeVar

import click
import msgspec

from pulse_gateway.config import parse_rate
from pulse_gateway.errors import ConfigError
from pulse_gateway.store.limits_json import LimitName, LimitsChange
from pulse_gateway.types.identity import Allowance, Rate
from pulse_gateway.units import usd

__all__ = ["LimitsShown", "limit_options", "read_limits", "shown"]

F = TypeVar("F", bound=Callable[..., Any])

_DEFAULT = "default"
_LARGEST_USD = (
    9_000_000  # as in the configuration: beyond it nano-dollars leave the integers that every store compares exactly
)
_OPTIONS = (
    ("requests", "RATE", "Requests in a sliding window, such as 1000/60s; `off`: no limit."),
    ("tokens", "RATE", "Input and output tokens in a sliding window, such as 100000/60s; `off`: no limit."),
    ("concurrency", "N", "Calls at once."),
    ("budget_usd", "USD", "Money per calendar month (UTC); alerts at 80 % and 100 %."),
)


class LimitsShown(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is said of a key or a tenant itself; what is left out is as configured."""

    requests: str | None = None
    tokens: str | None = None
    concurrency: int | None = None
    budget_usd: str | None = None

    def line(self) -> str:
        said = msgspec.structs.asdict(self).items()
        return " ".join(f"{name}={value}" for name, value in said if value is not None) or "-"


def shown(limits: Allowance) -> LimitsShown:
    return LimitsShown(
        requests=_rate_text(limits.requests),
        tokens=_rate_text(limits.tokens),
        concurrency=limits.concurrency,
        budget_usd=None if limits.budget_nano_usd is None else usd(limits.budget_nano_usd),
    )


def limit_options(command: F) -> F:
    """Adds the four options; the command gets them as `limits`, a LimitsChange."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        given = {name: kwargs.pop(name) for name, _, _ in _OPTIONS}
        try:
            limits = read_limits(given)
        except ConfigError as error:
            raise click.ClickException(str(error)) from error
        return command(*args, limits=limits, **kwargs)

    decorated: Any = run
    for name, metavar, text in reversed(_OPTIONS):
        option = f"--{name.replace('_', '-')}"
        decorated = click.option(option, name, metavar=metavar, help=f"{text} `default`: as configured.")(decorated)
    found: F = decorated
    return found


def read_limits(given: dict[str, str | None]) -> LimitsChange:
    """The words of the command line; those not given change nothing.

    Raises: ConfigError naming the option.
    """
    forget: list[LimitName] = []
    put = Allowance()
    for name, text in given.items():
        if text is None:
            continue
        field, value = _read(name, text.strip())
        if value is None:
            forget.append(field)
        else:
            put = msgspec.structs.replace(put, **{field: value})
    return LimitsChange(put=put, forget=tuple(forget))


def _read(name: str, text: str) -> tuple[LimitName, Rate | int]:
    if name == "requests":
        return "requests", _rate(text, "--requests")
    if name == "tokens":
        return "tokens", _rate(text, "--tokens")
    if name == "concurrency":
        return "concurrency", _concurrency(text)
    return "budget_nano_usd", _nano_usd(text)


def _rate(text: str, option: str) -> Rate:
    return None if text == _DEFAULT else parse_rate(text, option) or "off"


def _concurrency(text: str) -> int | None:
    if text == _DEFAULT:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise ConfigError(f"--concurrency {text!r} is not a number of calls, 1 or more")
    return int(text)


def _nano_usd(text: str) -> int | None:
    if text == _DEFAULT:
        return None
    if not re.fullmatch(r"[0-9]{1,10}(\.[0-9]{1,9})?", text) or Decimal(text) > _LARGEST_USD:
        raise ConfigError(f"--budget-usd {text!r} is not an amount such as 100 or 0.5, of at most {_LARGEST_USD:,}")
    return int(Decimal(text).scaleb(9))


def _rate_text(rate: Rate) -> str | None:
    return rate if rate is None or isinstance(rate, str) else f"{rate[0]}/{rate[1]:g}s"
