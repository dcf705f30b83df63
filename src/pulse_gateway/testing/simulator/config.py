"""The simulator's TOML file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import msgspec

from pulse_gateway.testing.simulator.faults import FaultSpecError, parse_faults

__all__ = ["Answers", "Aws", "Config", "Keys", "Models", "Pace", "RateLimits", "SimulatorConfigError", "load_config"]

_Count = Annotated[int, msgspec.Meta(ge=1)]
_Limit = Annotated[int, msgspec.Meta(ge=0)]
_Seconds = Annotated[float, msgspec.Meta(ge=0)]


class SimulatorConfigError(ValueError):
    """The file cannot be used; the message names the file and the key."""


class Answers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is said."""

    text: str | None = None  # instead of an answer that quotes the prompt
    tokens: _Count = 40  # at least this long
    chunks: _Count | None = None  # how many pieces of text a stream has; None: many small ones
    faults: str = ""  # a fault spec for requests that bring none of their own


class Pace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast, in seconds; everything at once by default."""

    first_byte_delay_s: _Seconds = 0.0
    chunk_delay_s: _Seconds = 0.0
    tokens_per_second: Annotated[float, msgspec.Meta(gt=0)] | None = None  # streams only; reasoning takes its time too


class Keys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is let in. `wrong` never is."""

    accepted: tuple[str, ...] = ()  # empty: any key


class Aws(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose signatures Bedrock knows; it takes Bearer keys as everybody else does."""

    access_key_id: str = "AKIASIMULATOR"
    secret_access_key: str = "simulator-secret"  # noqa: S105 - it opens the simulator, nothing else
    session_token: str | None = None  # must come with the signature, if there is one


class RateLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the rate limit headers say. Nothing is enforced: `+status=429` does that."""

    requests: _Limit = 10_000
    requests_remaining: _Limit = 9_999
    tokens: _Limit = 2_000_000
    tokens_remaining: _Limit = 1_999_000
    reset_s: _Seconds = 0.006


class Models(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `GET /models` lists. Chats may name any model that no other vendor is known for."""

    openai: tuple[str, ...] = ("gpt-6-sol", "gpt-6-luna", "gpt-5.2", "gpt-5-mini", "gpt-4.1", "o3")
    anthropic: tuple[str, ...] = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-sonnet-4-6")
    gemini: tuple[str, ...] = (
        "gemini-4-argon", "gemini-3.8-flash", "gemini-2.5-pro", "gemini-2.5-flash", "gemini-3-pro-image",
        "gemini-3.1-flash-image", "gemini-3.8-flash-tts", "gemini-embedding-2", "gemini-embedding-001",
        "gemini-omni-1.2-flash",
    )  # fmt: skip
    check_family: bool = True  # 404 for claude-… at OpenAI, and so on


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every setting; the defaults are a vendor that is fast, generous and well."""

    answers: Answers = Answers()
    pace: Pace = Pace()
    keys: Keys = Keys()
    aws: Aws = Aws()
    rate_limits: RateLimits = RateLimits()
    models: Models = Models()


_UNKNOWN = re.compile(r"unknown field `([^`]*)`(?: - at `\$\.?([^`]*)`)?")


def load_config(path: Path) -> Config:
    """Raises: SimulatorConfigError, also for a key that does not exist."""
    try:
        config = msgspec.toml.decode(path.read_bytes(), type=Config)
    except OSError as error:
        raise SimulatorConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise SimulatorConfigError(f"{path}: {_explain(str(error))}") from error
    try:
        parse_faults(config.answers.faults)
    except FaultSpecError as error:
        raise SimulatorConfigError(f"{path}: answers.faults: {error}") from error
    return config


def _explain(message: str) -> str:
    unknown = _UNKNOWN.search(message)
    if not unknown:
        return message
    key, table = unknown.group(1), unknown.group(2) or ""
    known = _TABLES[table].__struct_fields__ if table in _TABLES else ()
    where = f"table [{table}]" if table else "file"
    return f"unknown key {key!r} in the {where}; known keys: {', '.join(known)}"


_TABLES: dict[str, type[msgspec.Struct]] = {
    "": Config,
    "answers": Answers,
    "pace": Pace,
    "keys": Keys,
    "aws": Aws,
    "rate_limits": RateLimits,
    "models": Models,
}
