"""What each vendor is sent, and what is made of its answers, case by case: the folders of `fixtures/` are found by themselves."""

from __future__ import annotations

import pytest
from contract_cases import CHAT_CASES, FIXTURES, Case, cases_of, vendors
from contract_chat import check_chat, check_meaning
from contract_operation import check_operation

from pulse_gateway.providers.registry import KINDS, provider
from pulse_gateway.types.catalog import Deployment, Model
from pulse_gateway.wire.registry import OPERATIONS, operation_codec

VENDORS = vendors()
CASES = [case for name in VENDORS for case in cases_of(FIXTURES / name)]
CHATS = [pytest.param(case, id=case.id) for case in CASES if case.is_chat]
OTHERS = [pytest.param(case, id=case.id) for case in CASES if not case.is_chat]
NO_CHAT = {"echo", "stability"}
OPERATIONS_BESIDE_CHAT = sorted({operation_codec(dialect).operation for dialect in OPERATIONS})


@pytest.mark.parametrize("case", CHATS)
async def test_a_vendor_is_asked_as_it_wants_to_be_and_its_client_answered(case: Case) -> None:
    await check_chat(case)


@pytest.mark.parametrize("case", CHATS)
def test_an_answer_means_the_same_however_it_is_cut(case: Case) -> None:
    check_meaning(case)


@pytest.mark.parametrize("case", OTHERS)
async def test_an_operation_beside_chat_is_asked_for_and_understood(case: Case) -> None:
    await check_operation(case)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "echo"])
def test_every_vendor_has_its_contract_written_down(kind: str) -> None:
    """Every case of a chat, or why there is none; and every operation that is offered."""
    folders = [name for name, vendor in VENDORS.items() if vendor.kind == kind]
    assert folders
    for folder in folders if kind not in NO_CHAT else ():
        written, absent = {case.name for case in CASES if case.of == folder}, VENDORS[folder].absent.keys()
        assert not written & absent
        assert written | absent >= set(CHAT_CASES)
    cases = [case for case in CASES if case.vendor.kind == kind]
    models = {case.asked.partition(":")[2] for case in cases}
    offered = {each for each in OPERATIONS_BESIDE_CHAT for model in models if _offers(kind, model, each)}
    assert offered <= {case.client.get("operation") for case in cases}


def _offers(kind: str, model: str, operation: str) -> bool:
    deployment = Deployment(provider=kind, kind=kind, model=Model(provider=kind, name=model), base_url="")
    return provider(kind).offer(operation, deployment) is not None
