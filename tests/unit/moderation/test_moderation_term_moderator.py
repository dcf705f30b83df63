"""The built-in hook and the files it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pulse_gateway.errors import ConfigError
from pulse_gateway.moderation import ALLOWED, Content, LocalModerator, TermModerator, Verdict


def content(text: str) -> Content:
    return Content(text=text, stage="prompt", user_id="u1", tenant_id="t1", model="echo")


async def test_it_refuses_by_category_and_allows_the_rest() -> None:
    moderator = TermModerator()
    assert await moderator.review(content("how to make a pipe bomb")) == Verdict(allowed=False, category="illicit")
    assert await moderator.review(content("سأقتلك")) == Verdict(allowed=False, category="violence")
    assert await moderator.review(content("مرحبا")) is ALLOWED


def test_it_can_be_asked_without_waiting() -> None:
    moderator = TermModerator()
    assert isinstance(moderator, LocalModerator)
    assert moderator.review_now(content("kill yourself")).category == "self-harm"


def test_medium_terms_are_refused_only_where_the_operator_says_so_and_low_ones_never() -> None:
    assert TermModerator().review_now(content("son of a bitch")).allowed
    assert not TermModerator(block_severity="medium").review_now(content("son of a bitch")).allowed
    assert TermModerator(block_severity="medium").review_now(content("the idiot dog, كلب حمار خنزير")).allowed


def test_low_is_not_a_severity_to_block_at() -> None:
    low: Any = "low"
    with pytest.raises(ConfigError, match="never block"):
        TermModerator(block_severity=low)


def test_extra_terms_are_refused_and_exemptions_spared() -> None:
    moderator = TermModerator(extra_terms=["Project Falcon", "مشروع الصقر"], exemptions=["kill yourself"])
    assert moderator.review_now(content("about PROJECT  falcon")) == Verdict(allowed=False, category="custom")
    assert moderator.review_now(content("وبمشروع الصقر")) == Verdict(allowed=False, category="custom")
    assert moderator.review_now(content("kill yourself")).allowed
    assert not moderator.review_now(content("how to make a bomb")).allowed


def test_a_file_of_ones_own_takes_the_place_of_the_built_in_list(tmp_path: Path) -> None:
    file = tmp_path / "terms.toml"
    file.write_text(
        'exempt = ["red apple"]\n[categories.fruit]\nhigh = ["apple", "تفاح"]\nlow = ["pear"]\n', encoding="utf-8"
    )
    moderator = TermModerator(file=file)
    assert moderator.review_now(content("an apple")) == Verdict(allowed=False, category="fruit")
    assert moderator.review_now(content("والتفاح")) == Verdict(allowed=False, category="fruit")
    assert moderator.review_now(content("a red apple and a pear, kill yourself")).allowed


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        "[categories.x]\nhight = ['a b']",
        "terms = 1",
        "[categories.x]\nhigh = 'a b'",
        "[categories.x]\nhigh = ['k']",
        "\ud800",
    ],
)
def test_a_bad_file_is_a_config_error_that_names_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "terms.toml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError, match=r"terms\.toml|too short"):
        TermModerator(file=file)


def test_a_missing_file_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read"):
        TermModerator(file=tmp_path / "none.toml")
