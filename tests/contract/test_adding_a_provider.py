"""Following docs/adding-a-provider.md works: every file on the page is written where it says, and the contracts are kept."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from contract_cases import CHAT_CASES, Case, cases_of, vendors
from contract_chat import check_chat, check_meaning
from contract_operation import check_operation

import pulse_gateway.providers
from pulse_gateway import Gateway
from pulse_gateway.config import Config, ProviderConfig, decode
from pulse_gateway.errors import UnsupportedParameter
from pulse_gateway.providers import registry
from pulse_gateway.testing.simulator import Simulator

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-provider.md"
_BLOCK = re.compile(r"^\*\*(`[^*\n]+)\*\*\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = {title.replace("`", ""): text for title, text in _BLOCK.findall(PAGE.read_text())}
OURS = "src/pulse_gateway/providers/"
FOLDER = "tests/contract/fixtures/"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Everything on the page, in a folder where Python finds packages, and more modules of `pulse_gateway.providers`."""
    for name, text in BLOCKS.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(pulse_gateway.providers, "__path__", [*pulse_gateway.providers.__path__, str(tmp_path / OURS)])
    yield tmp_path
    # Only what came from the page: anything else that was imported meanwhile is everybody's, and must stay one.
    theirs = [name for name, module in sys.modules.items() if str(tmp_path) in str(getattr(module, "__file__", ""))]
    for name in theirs:
        del sys.modules[name]
    registry.provider.cache_clear()


@pytest.fixture
def registered(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The line of the registry, where it says."""
    for kind, where in ast.literal_eval("{" + BLOCKS[OURS + "registry.py"].strip() + "}").items():
        monkeypatch.setitem(registry.KINDS, kind, where)
    return place


async def test_the_contract_of_a_copy_is_kept(registered: Path) -> None:
    cases = list(cases_of(registered / FOLDER / "sambanova"))
    absent = vendors(registered / FOLDER)["sambanova"].absent
    assert {case.name for case in cases} | absent.keys() >= set(CHAT_CASES)
    for case in cases:
        await _check(case)


async def test_the_contract_of_a_vendor_with_a_shape_of_its_own_is_kept(place: Path) -> None:
    for case in cases_of(place / FOLDER / "cohere"):
        await _check(case)


async def test_a_copy_answers_through_the_gateway(registered: Path) -> None:
    settings = decode(BLOCKS["pulse.toml"], "pulse.toml")
    assert settings.providers.keys() == {"sambanova"}
    async with Simulator(seed=0) as vendor, Gateway(_at(f"{vendor.url}/v1", settings)) as gateway:
        reply = await gateway.chat(model="quick", messages=[{"role": "user", "content": "مرحبا"}], user="u")
        vectors = await gateway.embed(model="sambanova:text-embedding-3-small", input=["one"], user="u")
    assert reply.text
    assert reply.usage is not None
    assert len(vectors.vectors) == 1


async def test_the_same_file_in_a_package_of_its_own_answers_too(place: Path) -> None:
    (place / "our_models" / "sambanova.py").write_text(BLOCKS[OURS + "sambanova.py"])
    settings = decode(BLOCKS["pulse.toml for a package of your own"], "pulse.toml")
    assert settings.providers["sambanova"].kind == "our_models.sambanova:SAMBANOVA"
    async with Simulator(seed=0) as vendor, Gateway(_at(f"{vendor.url}/v1", settings)) as gateway:
        reply = await gateway.chat(model="sambanova:m", messages=[{"role": "user", "content": "مرحبا"}], user="u")
        assert reply.text
        with pytest.raises(UnsupportedParameter, match="dimensions"):
            await gateway.embed(model="sambanova:text-embedding-3-small", input=["one"], dimensions=8, user="u")


async def _check(case: Case) -> None:
    if not case.is_chat:
        await check_operation(case)
        return
    await check_chat(case)
    check_meaning(case)


def _at(address: str, settings: Config) -> Config:
    """`settings` as they are, but for where the vendor is."""
    [(name, provider)] = settings.providers.items()
    there: ProviderConfig = msgspec.structs.replace(provider, base_url=address, key="k")
    return msgspec.structs.replace(settings, providers={name: there})
