"""Names from outside, whatever is in them, come out of Postgres as they went in: in texts, in accounts, in tags."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_values import entry

from pulse_gateway.ledger.batches import write_entries
from pulse_gateway.types.usage import Usage
from pulse_host.database.pool import open_connection

_ODD = st.text(st.sampled_from('a"\\{},\n\t\r\x01\x7f\u2028é ن😀nulNULL'), max_size=8)
_SOME = st.lists(st.tuples(_ODD, _ODD, _ODD, st.none() | _ODD), min_size=1, max_size=4)


@given(_SOME)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_odd_names_come_back(database: Any, names: list[tuple[str, str, str, str | None]]) -> None:
    entries = [
        msgspec.structs.replace(
            entry(),
            alias=alias,
            model=model,
            error_code=code,
            accounts=(alias, f"{model}!"),
            tags=((tag, alias), (f"{tag}.", model)),
            usage=Usage(output_tokens=3, variant=code),
        )
        for alias, model, tag, code in names
    ]
    async with open_connection(database.url) as connection:
        assert (await write_entries(connection, entries, [None] * len(entries), [])).added == len(entries)
        for each in entries:
            row = await connection.fetchrow("select * from usage_entry where entry_id = $1", each.entry_id)
            assert (row["alias"], row["model"], row["error_code"]) == (each.alias, each.model, each.error_code)
            assert row["variant"] == each.usage.variant
            assert tuple(row["accounts"]) == each.accounts
            assert row["meta"] == {"tags": dict(each.tags)}
