"""What the repository promises of itself."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def tracked() -> list[Path]:
    names = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT).decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def test_the_lock_pins_every_package_by_hash_and_names_no_host() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    for block in re.split(r"\n(?=\S)", lock.strip()):
        assert re.match(r"[a-z0-9._-]+(?:\[[a-z0-9,-]+\])?==\S+", block), block.splitlines()[0]
        assert "--hash=sha256:" in block, block.splitlines()[0]


def test_the_lock_holds_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = {*project["dependencies"], *(line for name in ("host", "dev", "test", "redis") for line in extras[name])}
    lock = (ROOT / "requirements.lock").read_text()
    locked = {match.lower() for match in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==", lock, re.MULTILINE)}
    for line in wanted:
        name = re.split(r"[\[<>=;! ]", line, maxsplit=1)[0].lower()
        assert name in locked or name == "pulse-gateway", name


def test_every_page_the_documents_link_to_exists() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_no_file_of_the_source_grows_beyond_what_one_idea_needs() -> None:
    for file in tracked():
        if file.suffix == ".py" and file.is_relative_to(ROOT / "src"):
            assert len(file.read_text().splitlines()) <= 450, file.relative_to(ROOT)


def test_there_is_no_room_called_utils() -> None:
    assert not [file for file in tracked() if file.stem in {"utils", "util", "helpers", "common", "misc"}]
