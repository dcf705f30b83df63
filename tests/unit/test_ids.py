"""Identifiers: unique, ordered by time, and as their formats have them."""

from __future__ import annotations

import os
import re
from uuid import RFC_4122, UUID

from pulse_gateway.ids import new_entry_id, new_request_id, new_span_id, new_trace_id


def test_an_entry_id_is_a_uuid_of_version_7_as_uuids_are_written() -> None:
    made = [new_entry_id() for _ in range(2_000)]  # more than are made ahead
    assert len(set(made)) == len(made)
    for each in made:
        read = UUID(each)
        assert (str(read), read.version, read.variant) == (each, 7, RFC_4122)
    milliseconds = [UUID(each).int >> 80 for each in made]
    assert milliseconds == sorted(milliseconds)


def test_the_other_ids_are_hexadecimal_and_never_the_same() -> None:
    for make, pattern in (
        (new_request_id, "req_[0-9a-f]{32}"),
        (new_trace_id, "[0-9a-f]{32}"),
        (new_span_id, "[0-9a-f]{16}"),
    ):
        made = {make() for _ in range(100)}
        assert len(made) == 100
        assert all(re.fullmatch(pattern, each) for each in made)


def test_a_forked_process_makes_other_ids_than_its_parent() -> None:
    new_entry_id()  # now some are made ahead
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, " ".join([new_entry_id()[14:] for _ in range(50)] + [new_trace_id()]).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        theirs = set(said.read().split())
    os.waitpid(child, 0)
    ours = {new_entry_id()[14:] for _ in range(50)} | {new_trace_id()}
    assert len(theirs) == 51
    assert not ours & theirs
