"""Arguments of tool calls between text and object, media inside JSON, efforts and budgets, waits."""

from __future__ import annotations

import time
from email.utils import formatdate

import msgspec
import pytest

from pulse_gateway.errors import InvalidRequest, UpstreamOverloaded, UpstreamRejected
from pulse_gateway.types.http import Headers
from pulse_gateway.wire.effort_budgets import EFFORTS, effort_for
from pulse_gateway.wire.media import media_type_of, standard_base64, utf8_of
from pulse_gateway.wire.tool_calls import arguments_object, arguments_text, made_id
from pulse_gateway.wire.upstream_errors import retry_after_s, told


@pytest.mark.parametrize(
    ("text", "compact"),
    [
        ("", b"{}"),
        (" \n", b"{}"),
        ("{}", b"{}"),
        ('{ "a" : 1.10,\n "é" : [1e5, 12345678901234567890123, 1e400] }', '{"a":1.10,"é":[1e5,12345678901234567890123,1e400]}'.encode()),
        ('{"a": "\\u00e9"}', b'{"a":"\\u00e9"}'),
    ],
)  # fmt: skip
def test_arguments_become_an_object_whose_values_keep_their_spelling(text: str, compact: bytes) -> None:
    value = arguments_object(text)
    assert value is not None
    assert bytes(value) == compact
    assert arguments_text(value) == compact.decode()


@pytest.mark.parametrize(
    "text", ["[]", "null", "1", '{"a":', '{"a":1}}', "{'a': 1}", "{" * 3, '{"a":' * 100_000, "\ud800"]
)
def test_what_is_no_object_is_none(text: str) -> None:
    assert arguments_object(text) is None


def test_absent_and_null_arguments_of_an_answer_are_empty() -> None:
    assert arguments_text(msgspec.Raw()) == arguments_text(msgspec.Raw(b"null")) == "{}"
    assert arguments_text(msgspec.Raw(b"[1]")) is None


def test_an_id_that_is_made_up_is_short_plain_and_stable() -> None:
    long = made_id("chatcmpl-" + "é/x" * 50, 0, 2)
    assert long == made_id("chatcmpl-" + "é/x" * 50, 0, 2)
    assert len(long) <= 40
    assert long.replace("_", "").isalnum()
    assert made_id("", 1, 2) == "call_1_2"


def test_base64_of_any_alphabet_is_standard() -> None:
    assert standard_base64("_-8", "a") == "/+8="
    assert utf8_of("w6k=", "a") == "é"
    for broken in ("a", "a b=", "é", "====", "YQ=\n"):
        with pytest.raises(InvalidRequest) as caught:
            standard_base64(broken, "a.data")
        assert caught.value.param == "a.data"
    with pytest.raises(InvalidRequest):
        utf8_of("/w==", "a")


def test_a_media_type_has_one_name() -> None:
    assert media_type_of("IMAGE/JPG; q=1") == "image/jpeg"
    assert media_type_of("audio/mpeg") == "audio/mp3"
    assert media_type_of("") is media_type_of(None) is None


@pytest.mark.parametrize(
    ("budget", "known", "effort"),
    [
        (1, None, "minimal"),
        (512, None, "minimal"),
        (513, None, "low"),
        (5000, ("low", "medium", "high"), "high"),
        (10**6, None, "max"),
        (2000, ("low", "high"), "low"),
        (600, ("high",), None),
    ],
)
def test_a_budget_is_the_effort_that_covers_it_or_a_lower_one(
    budget: int, known: tuple[str, ...] | None, effort: str | None
) -> None:
    assert effort_for(budget, EFFORTS, known) == effort


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((), None),
        ((("retry-after", "7"),), 7.0),
        ((("retry-after", "7"), ("retry-after-ms", "250")), 0.25),
        ((("retry-after", "7"), ("retry-after-ms", "soon")), 7.0),
        ((("retry-after", "Tue, 24 Nov 2026 10:00:30 GMT"), ("date", "Tue, 24 Nov 2026 10:00:00 GMT")), 30.0),
        ((("retry-after", "Tue, 24 Nov 2026 09:00:00 GMT"), ("date", "Tue, 24 Nov 2026 10:00:00 GMT")), 0.0),
        ((("retry-after", "Tue, 99 Nov 2026 10:00:30 GMT"),), None),
        ((("retry-after", "-1"),), None),
        ((("retry-after", "nan"),), None),
    ],
)
def test_how_long_to_wait(headers: Headers, seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds


def test_without_a_date_of_its_own_an_answer_is_measured_by_our_clock() -> None:
    wait = retry_after_s((("retry-after", formatdate(time.time() + 60, usegmt=True)),))
    assert wait is not None
    assert 50 < wait <= 60


def test_callers_read_the_vendors_words_only_about_their_own_request() -> None:
    assert told(UpstreamRejected, "bad field") == "bad field"
    assert len(told(UpstreamRejected, "x" * 5000)) == 1000
    assert told(UpstreamRejected, "") == "the provider refused the request"
    assert "acme" not in told(UpstreamOverloaded, "account acme is busy")
