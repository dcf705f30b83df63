"""Which Python the comparison runs Pulse on, and that it is this checkout's Pulse."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.comparison.interpreter import quickest
from benchmarks.process import CHECKOUT, of_this_checkout


def test_the_interpreter_asked_for_is_taken_and_told_with_what_it_is() -> None:
    found = quickest(Path(sys.executable))
    assert found.number == sys.version_info[:3]
    assert found.loop_ms > 0
    assert "asked for" in found.told
    assert found.version in found.told


def test_what_is_no_python_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="/bin/true"):
        quickest(Path("/bin/true"))


def test_another_checkout_on_the_path_is_not_what_is_measured(tmp_path: Path) -> None:
    other = tmp_path / "src/pulse_gateway"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("")
    code = "import pulse_gateway; print(pulse_gateway.__file__)"
    said = subprocess.check_output([sys.executable, "-c", code], env=of_this_checkout({}), cwd=tmp_path, text=True)
    assert Path(said.strip()).is_relative_to(CHECKOUT / "src")


def test_a_python_that_has_another_checkout_installed_measures_nothing(tmp_path: Path) -> None:
    other = tmp_path / "pulse_gateway"
    other.mkdir()
    (other / "__init__.py").write_text("")
    code = "from benchmarks.process import measures_this_checkout as check; check()"
    paths = f"{tmp_path}:{CHECKOUT}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        env={"PYTHONPATH": paths},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert str(other) in done.stderr
