"""Which model a request names must be beyond doubt, however the provider reads JSON."""

from __future__ import annotations

import pytest

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.wire.json_splice import set_members


@pytest.mark.parametrize("key", ["Model", "MODEL", "mOdel", "\\u004dodel"])
@pytest.mark.parametrize("padding", ["", "x" * 40_000], ids=["small", "large"])
@pytest.mark.parametrize("model", ["cheap", "other"])
def test_a_second_model_in_other_letters_is_refused(key: str, padding: str, model: str) -> None:
    """A server that is written in Go would take it for the model, which nobody here has priced."""
    body = f'{{"model":"cheap","{key}":"dear","user":"{padding}"}}'.encode()
    with pytest.raises(InvalidRequest, match="in other letters"):
        set_members(body, model=model)


def test_the_other_letters_are_nobodys_further_in() -> None:
    body = b'{"model":"cheap","metadata":{"Model":"T"}}'
    assert set_members(body, model="dear") == b'{"model":"dear","metadata":{"Model":"T"}}'
