"""docs/compatibility.md, from grid.toml: what each cell comes to, why some do not work, and which test proves it."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from .grid import Cell, Expectation, Operation, cells, grid

__all__ = ["page"]

ROOT = Path(__file__).parents[3]
_MARKS = {"works": "✓", "refused": "400", "not offered": "–"}
_DIALECTS = {
    "chat": "OpenAI's Chat Completions",
    "responses": "OpenAI's Responses",
    "messages": "Anthropic's Messages",
    "gemini": "Gemini's generateContent and its kin",
    "openai": "OpenAI",
    "anthropic": "Anthropic",
    "cohere": "Cohere's rerank, for which none of these SDKs has a method: plain HTTP",
}
_PYTHON = ("openai", "anthropic", "google-genai")
_NODE = ("openai", "@anthropic-ai/sdk")

_INTRO = """# Compatibility

<!-- Generated from tests/e2e/compatibility/grid.toml by `make docs`. -->

What the official SDKs get of every vendor through Pulse, over real sockets: one `pulse` process, with the provider simulator as every
vendor. {counts} Each cell is run by every SDK that speaks its dialect.

| | SDKs |
| --- | --- |
| Python | {python} |
| Node 20 or newer | {node} |

| mark | means |
| --- | --- |
| ✓ | it works: the answer was checked, the vendor that should be was asked, and the ledger has what it billed |
| ≈ | it works, and Pulse answers by itself: an estimate, marked as one |
| 400 | it is refused: by Pulse, with `unsupported_parameter` and the name of the field, before anything is sent; or by the vendor itself where the client's words go through to it |
| – | the vendor does not have it: 400 `unsupported_parameter` with the `param` `model`, or in lists of models 404 `model_not_found` |

A cell is proved by the test that is named for it, once for each SDK:

```sh
make test ARGS='tests/e2e/test_compatibility.py::test_cell[python-tools-messages-stream-groq]'
make test ARGS='tests/e2e/test_compatibility.py::test_cell[node-tools-messages-stream-groq]'
```

That is the language, then what stands over the table, the column and the row: **`tools`**, `messages-stream`, `groq`. Columns are a
dialect and whether the answer is streamed:

| | dialect |
| --- | --- |
{dialects}

What the tests ask of each vendor, by which model, stands in `grid.toml`. A vendor has models that lack what others of it have; of
those the [catalog](models.md) knows, and [translation](translation.md) tells what is refused on their behalf.
"""


def page() -> str:
    found = grid()
    counted = Counter(cell.expected for cell in cells())
    run = sum(len(cell.clients) for cell in cells())
    counts = (
        f"{len(cells())} cells, {run} tests: {counted['works']} work, {counted['refused']} are refused, "
        f"{counted['not offered']} the vendor does not have."
    )
    dialects = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in _DIALECTS.items())
    python = ", ".join(f"{name} {version}" for name, version in _python_versions().items())
    node = ", ".join(f"{name} {version}" for name, version in _node_versions().items())
    lines = [_INTRO.format(counts=counts, python=python, node=node, dialects=dialects).rstrip()]
    group = ""
    for operation in found.operation:
        if operation.group != group:
            group = operation.group
            lines += ["", f"## {group}"]
        lines += ["", *_table(operation)]
    return "\n".join(lines) + "\n"


def _table(operation: Operation) -> list[str]:
    own = [cell for cell in cells() if cell.operation is operation]
    columns = list(dict.fromkeys(f"{cell.dialect}-{cell.mode}" for cell in own))
    reasons: list[Expectation] = []
    rows = []
    for provider in grid().provider:
        marks = []
        for cell in own:
            if cell.provider is provider:
                if cell.exception is not None and cell.exception not in reasons:
                    reasons.append(cell.exception)
                marks.append(_mark(cell, reasons))
        rows.append(f"| {provider.title} `{provider.name}` | {' | '.join(marks)} |")
    return [
        f"### {operation.title}: `{operation.name}`",
        "",
        f"| | {' | '.join(f'`{column}`' for column in columns)} |",
        f"| --- |{' --- |' * len(columns)}",
        *rows,
        *(["", operation.note] if operation.note else []),
        *(["", *(f"{number}. {reason.why}" for number, reason in enumerate(reasons, 1))] if reasons else []),
    ]


def _mark(cell: Cell, reasons: list[Expectation]) -> str:
    if cell.exception is not None:
        return f"{_MARKS[cell.expected]} <sup>{reasons.index(cell.exception) + 1}</sup>"
    return "≈" if cell.operation.asked and cell.answered_here else _MARKS[cell.expected]


def _python_versions() -> dict[str, str]:
    lock = (ROOT / "requirements.lock").read_text()
    return {name: re.findall(rf"^{name}==(\S+)", lock, re.MULTILINE)[0] for name in _PYTHON}


def _node_versions() -> dict[str, str]:
    packages = json.loads((ROOT / "tests" / "node" / "package-lock.json").read_text())["packages"]
    return {name: packages[f"node_modules/{name}"]["version"] for name in _NODE}
