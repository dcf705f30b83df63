"""What each vendor is sent, and what is made of its answers, case by case: the folders of `fixtures/` are found by themselves."""

from __future__ import annotations

import pytest
from contract_cases import FIXTURES, Case, cases_of
from contract_chat import check_chat, check_meaning

CASES = [case for folder in sorted(FIXTURES.iterdir()) if folder.is_dir() for case in cases_of(folder)]
CHATS = [pytest.param(case, id=case.id) for case in CASES if case.is_chat]


@pytest.mark.parametrize("case", CHATS)
async def test_a_vendor_is_asked_as_it_wants_to_be_and_its_client_answered(case: Case) -> None:
    await check_chat(case)


@pytest.mark.parametrize("case", CHATS)
def test_an_answer_means_the_same_however_it_is_cut(case: Case) -> None:
    check_meaning(case)
