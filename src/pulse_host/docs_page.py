"""`/docs`: the OpenAPI document as one page, without scripts and without anybody else's server."""

from __future__ import annotations

from html import escape
from typing import Any

__all__ = ["docs_page"]

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "code{font-family:ui-monospace,monospace}h2{margin-top:2rem;font-size:1.05rem}td,th{padding:.15rem .8rem .15rem 0;"
    "text-align:start;vertical-align:top}small{opacity:.75}"
)


def docs_page(document: dict[str, Any]) -> str:
    sections = [
        _operation(path, method, operation)
        for path, item in sorted(document.get("paths", {}).items())
        for method, operation in item.items()
        if isinstance(operation, dict)
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Pulse API</title><style>{_STYLE}</style>'
        f'<h1>Pulse API</h1><p>The same as a document: <a href="/openapi.json">openapi.json</a></p>{"".join(sections)}</html>'
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(status)}</code><td>{escape(str(response.get('description', '')))}"
        for status, response in operation.get("responses", {}).items()
    )
    return (
        f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(str(operation.get('summary', '')))}</p>"
        f"<small><table>{rows}</table></small>"
    )
