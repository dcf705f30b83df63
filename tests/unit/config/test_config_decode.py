"""Settings: what is right is taken, what is wrong names the key, the file and the fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from pulse_gateway.config import Config, decode, parse_rate
from pulse_gateway.environment import load_config
from pulse_gateway.errors import ConfigError


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        decode(text, "pulse.toml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[server]\nprot = 1", ["pulse.toml", "`prot`", "[server]", "`port`"]),
        ("[sever]\nport = 1", ["`sever`", "the top level", "`server`"]),
        ('[providers.openai]\nkye = "env:X"', ["`kye`", "`key`"]),
        ("[providers.openai.timeouts]\nconnect = 1", ["`connect`", "`connect_s`"]),
        ('[[moderation.hooks]]\nname = "terms"\nfailur = "allow"', ["`failur`", "`failure`"]),
        ('[models.fast]\ntargets = ["openai:gpt-5.2"]\nstratgy = "ordered"', ["`stratgy`", "`strategy`"]),
        ('[models.fast]\ntargets = [{target = "openai:gpt-5.2", wieght = 2}]', ["`wieght`", "`weight`"]),
        ("[server]\nport = 70000", ["`server.port`", "65535"]),
        ('[limits]\nstore = "memory"', ["`limits.store`: Invalid enum value 'memory'; valid: redis, local"]),
        ('[limits.without_redis]\ntokens = "x"', ["`limits.without_redis.tokens`", "; valid: closed, open, local"]),
        ('[models.fast]\ntargets = ["openai:gpt-5.2"]\nstrategy = "x"', ["; valid: ordered, weighted"]),
        (
            '[[moderation.hooks]]\nname = "terms"\non = ["x"]',
            ["`moderation.hooks[0].on[0]`", "; valid: prompt, answer"],
        ),
        ('[telemetry]\nlog_format = "x"', ["`telemetry.log_format`", "; valid: json, console"]),
        ('[server]\nport = "80"', ["`server.port`", "int"]),
        ("[models.fast]\ntargets = []", ["targets", "length"]),
        ("[server\nport = 1", ["not valid TOML"]),
    ],
)
def test_a_mistake_is_named_with_its_place_and_its_fix(text: str, names: list[str]) -> None:
    said = refusal(text)
    for name in names:
        assert name in said


def test_an_empty_file_is_the_defaults() -> None:
    assert decode("", "pulse.toml") == Config()


def test_the_built_in_plans_are_there_and_can_be_replaced() -> None:
    plans = decode("[plans.pro]\ntokens = 5\n[plans.team]\nimages = 1", "pulse.toml").plan_table()
    assert (plans["starter"].tokens, plans["starter"].images, plans["starter"].videos) == (150_000, 10, 2)
    assert (plans["creator"].tokens, plans["creator"].images, plans["creator"].videos) == (1_000_000, 60, 10)
    assert (plans["pro"].tokens, plans["pro"].images) == (5, None)
    assert (plans["team"].tokens, plans["team"].images) == (None, 1)
    assert plans["unlimited"].tokens is None


@pytest.mark.parametrize(
    ("text", "rate"),
    [("60/60s", (60, 60.0)), ("100/m", (100, 60.0)), ("5 / 500ms", (5, 0.5)), ("off", None), ("OFF", None)],
)
def test_rates(text: str, rate: tuple[int, float] | None) -> None:
    assert parse_rate(text, "limits.requests") == rate


@pytest.mark.parametrize("text", ["", "60", "0/60s", "60/0s", "-1/s", "60/60", "sixty/m"])
def test_a_rate_that_is_none_is_refused_by_its_key(text: str) -> None:
    with pytest.raises(ConfigError, match=r"limits\.requests"):
        parse_rate(text, "limits.requests")


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    file = tmp_path / "pulse.toml"
    file.write_text('[limits]\nrequests = "10/s"\n[stores]\ndatabase_url = "postgresql://file/db"\n')
    config = load_config(str(file), {"PULSE_RATE_LIMIT": "off", "PULSE_DATABASE_URL": "postgresql://env/db"})
    assert (config.limits.requests, config.stores.database_url) == ("off", "postgresql://env/db")


def test_a_vendor_is_on_when_its_key_is_set_and_can_be_pointed_elsewhere() -> None:
    config = load_config(
        None, {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://h/v1", "VLLM_BASE_URL": "http://v/v1"}
    )
    assert set(config.providers) == {"openai", "vllm"}
    assert (config.providers["openai"].key, config.providers["openai"].base_url) == ("k", "http://h/v1")
    assert config.providers["vllm"].key is None
    assert load_config(None, {"OPENAI_BASE_URL": "http://h/v1"}).providers == {}


def test_google_takes_either_name_of_its_key() -> None:
    assert load_config(None, {"GOOGLE_API_KEY": "g"}).providers["google"].key == "g"


def test_secrets_are_references(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from-file\n")
    file = tmp_path / "pulse.toml"
    file.write_text(
        f'[providers.a]\nkind = "openai"\nkey = "file:{secret}"\n'
        '[providers.b]\nkind = "openai"\nkey = "env:B_KEY"\nheaders = {x-token = "env:B_TOKEN", x-plain = "as it is"}\n'
    )
    config = load_config(str(file), {"B_KEY": "from-env", "B_TOKEN": "t"})
    assert (config.providers["a"].key, config.providers["b"].key) == ("from-file", "from-env")
    assert config.providers["b"].headers == {"x-token": "t", "x-plain": "as it is"}


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("sk-in-the-open", ["providers.a.key", "env:NAME"]),
        ("env:MISSING", ["providers.a.key", "MISSING"]),
        ("file:/nowhere/at/all", ["providers.a.key", "cannot be read"]),
    ],
)
def test_a_bad_secret_is_refused_and_not_repeated(tmp_path: Path, key: str, names: list[str]) -> None:
    file = tmp_path / "pulse.toml"
    file.write_text(f'[providers.a]\nkind = "openai"\nkey = "{key}"\n')
    with pytest.raises(ConfigError) as caught:
        load_config(str(file), {})
    said = str(caught.value)
    assert str(file) in said
    assert "sk-in-the-open" not in said
    for name in names:
        assert name in said


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PULSE_RATE_LIMIT", "fast"),
        ("PULSE_LOG_LEVEL", "loud"),
        ("PULSE_LOG_FORMAT", "xml"),
        ("PULSE_TRACES_SAMPLE", "1.1"),
        ("PULSE_TRACES_SAMPLE", "nan"),
        ("PULSE_TRACES_SAMPLE", "half"),
    ],
)
def test_a_bad_variable_is_named(variable: str, value: str) -> None:
    with pytest.raises(ConfigError, match=variable):
        load_config(None, {variable: value})


def test_the_share_of_traces_is_a_number_from_0_to_1() -> None:
    assert load_config(None, {}).telemetry.traces_sample == 0.01
    assert load_config(None, {"PULSE_TRACES_SAMPLE": "1"}).telemetry.traces_sample == 1.0
    assert decode("[telemetry]\ntraces_sample = 0", "pulse.toml").telemetry.traces_sample == 0
    with pytest.raises(ConfigError, match=r"pulse\.toml: `telemetry\.traces_sample`: Expected `float` <= 1"):
        decode("[telemetry]\ntraces_sample = 2", "pulse.toml")


def test_a_file_that_was_asked_for_must_exist() -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_config("/nowhere/pulse.toml", {})
    with pytest.raises(ConfigError, match="PULSE_CONFIG"):
        load_config(None, {"PULSE_CONFIG": "/nowhere/pulse.toml"})


def test_a_misspelt_variable_is_refused_and_those_of_other_programs_are_not() -> None:
    with pytest.raises(ConfigError, match="PULSE_DATABASE_URL"):
        load_config(None, {"PULSE_DATABSE_URL": "postgresql://x"})
    load_config(None, {"PULSE_SERVER": "unix:/run/pulse/native", "PULSE_COOKIE": "x", "PULSE_SECRET_KEY": "k"})


def test_plans_are_found_whatever_their_case() -> None:
    config = decode("[plans.Team]\ntokens = 5", "pulse.toml")
    assert config.plan_named("STARTER") == "starter"
    assert config.plan_named("team") == "Team"
    assert config.plan_named("nothing") is None


def test_a_kind_of_secret_that_cannot_be_read_is_said_to_be_one() -> None:
    from pulse_gateway.environment import resolve_secret

    with pytest.raises(ConfigError, match="aws-sm"):
        resolve_secret("aws-sm:prod/key", "providers.a.key", {})


def test_a_word_says_where_limits_are_counted() -> None:
    assert decode('limits = "local"\n[server]\nport = 1', "pulse.toml").limits.store == "local"
    assert decode('limits = "redis"', "pulse.toml").limits.requests == "60/60s"
    with pytest.raises(ConfigError, match="limits"):
        decode('limits = "memory"', "pulse.toml")
