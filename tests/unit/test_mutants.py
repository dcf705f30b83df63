"""The mistakes that the tests are tried with can still be made, and the tests that find them still exist."""

from __future__ import annotations

import ast
from pathlib import Path

from mutants.catalogue import MUTANTS, changed

TESTS = Path(__file__).parents[1]
SOURCE = TESTS.parent / "src" / "pulse_gateway"


def test_every_mutant_still_applies_and_the_tests_that_find_it_exist() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    for mutant in MUTANTS:
        texts = {change.file: (SOURCE / change.file).read_text("utf-8") for change in mutant.changes}
        for change in mutant.changes:
            texts[change.file] = changed(texts[change.file], change)
        for file, text in texts.items():
            if file.endswith(".py"):
                compile(text, file, "exec")
        assert mutant.red_by, mutant.name
        for node in mutant.red_by:
            file, _, name = node.partition("::")
            assert name.partition("[")[0] in functions_in(TESTS / file), node


def functions_in(file: Path) -> set[str]:
    return {
        each.name
        for each in ast.parse(file.read_text("utf-8")).body
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    }
