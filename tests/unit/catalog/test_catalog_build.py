from __future__ import annotations

import datetime
from importlib import resources

import msgspec
import pytest

from pulse_gateway.catalog.build import Built, build, render
from pulse_gateway.catalog.rows import CatalogFile
from pulse_gateway.types.catalog import Rates

OPERATIONS = (
    "embeddings",
    "images",
    "image_edits",
    "speech",
    "transcription",
    "translation",
    "moderation",
    "rerank",
    "count_tokens",
    "videos",
)


@pytest.fixture(scope="module")
def built() -> Built:
    return build()


@pytest.fixture(scope="module")
def file() -> CatalogFile:
    return msgspec.json.decode(_shipped(), type=CatalogFile)


def _shipped() -> bytes:
    return resources.files("pulse_gateway.catalog").joinpath("models.json").read_bytes()


def test_the_shipped_file_is_what_the_build_makes_of_its_two_origins(built: Built) -> None:
    assert render(built) == _shipped(), "run `python -m pulse_gateway.catalog.build` and look through the difference"


def test_a_difference_between_the_origins_is_explained_by_a_note(built: Built) -> None:
    assert [found for found in built.disagreements if not found[3]] == []


def test_the_file_shows_one_row_a_line_in_order(file: CatalogFile) -> None:
    lines = [line for line in _shipped().decode().splitlines() if line.startswith('{"provider"')]
    assert len(lines) == len(file.rows)
    names = [(row.provider, row.name) for row in file.rows]
    assert names == sorted(set(names))


def test_every_price_says_where_it_comes_from_and_when_that_was_read(file: CatalogFile) -> None:
    priced = [(row, price) for row in file.rows for price in row.prices]
    assert len(priced) > 1_000
    for row, price in priced:
        source = file.sources[price.source]
        assert "https://" in source or source.startswith("no vendor bills it"), row.name
        assert datetime.date.fromisoformat(price.as_of) <= datetime.date(2026, 11, 24), row.name


def test_every_day_is_a_day(file: CatalogFile) -> None:
    for row in file.rows:
        for text in (row.start, row.shutdown):
            if text is not None:
                datetime.date.fromisoformat(text)
        if row.start is not None and row.shutdown is not None:
            assert row.start < row.shutdown, row.name
        starts = [price.start for price in row.prices]
        assert starts[:1] in ([], [None])
        assert starts[1:] == sorted(datetime.date.fromisoformat(start or "").isoformat() for start in starts[1:])


def test_longer_prompts_are_never_cheaper_and_no_rate_is_negative(file: CatalogFile) -> None:
    for row in file.rows:
        for price in row.prices:
            rates = msgspec.structs.asdict(price.rates)
            assert all(amount is None or amount >= 0 for amount in rates.values()), row.name
            assert (price.long_rates is None) == (price.long_above_tokens is None), row.name
            for name, long in msgspec.structs.asdict(price.long_rates or price.rates).items():
                assert (long is None) == (rates[name] is None), row.name
                assert long is None or long >= rates[name], row.name


def test_no_name_leads_to_two_rows(file: CatalogFile) -> None:
    seen: set[tuple[str, str]] = set()
    for row in file.rows:
        for name in (row.name, *row.aliases):
            assert (row.provider, name.lower()) not in seen, (row.provider, name)
            seen.add((row.provider, name.lower()))


def test_free_models_cost_nothing_and_those_billed_by_the_page_have_no_price(file: CatalogFile) -> None:
    rows = {(row.provider, row.name): row for row in file.rows}
    assert rows["openrouter", "agentica-org/deepcoder-14b-preview:free"].prices[0].rates == Rates(input=0, output=0)
    assert rows["mistral", "mistral-ocr-latest"].prices == ()


def test_a_row_says_what_its_model_is_for_in_words_that_are_known(file: CatalogFile) -> None:
    known = {"chat", *OPERATIONS, "realtime", "music", "ocr"}
    media = {"text", "image", "audio", "video", "document", "embedding"}
    for row in file.rows:
        assert row.operations, row.name
        assert set(row.operations) <= known, row.name
        assert {*row.inputs, *row.outputs} <= media, row.name
        assert bool(row.inputs) == bool(row.outputs), row.name


def test_every_rate_is_a_whole_number_of_nano_dollars_and_none_is_negative(file: CatalogFile) -> None:
    for row in file.rows:
        for price in row.prices:
            units = msgspec.to_builtins(price.units) if price.units is not None else {}
            for amount in units.values():
                assert all(each >= 0 for each in (amount.values() if isinstance(amount, dict) else [amount])), row.name


def test_the_file_stays_small() -> None:
    assert len(_shipped()) < 400_000
