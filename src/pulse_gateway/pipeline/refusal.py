"""A refusal of what a deployment lacks, in the words of whoever asked for it."""

from __future__ import annotations

import re

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.wire.client_spelling import FieldPaths, as_spelled, written_path

__all__ = ["respelled", "reword"]

_HEAD = re.compile(r"[^.\[]+")


def reword(error: InvalidRequest, deployment: Deployment, paths: FieldPaths | None, body: bytes) -> None:
    """Name the field as the client of `body` wrote it, and the target as it is configured here: codecs know a model by the vendor that
    made it, which may be resold by another. `paths` None: the field is named already. Where the message quotes the field, it is renamed too.
    """
    model = deployment.model
    theirs = f"{model.provider}:{model.name}"
    if theirs != deployment.name and error.message.startswith(theirs):
        error.message = deployment.name + error.message[len(theirs) :]
    if paths is not None and error.param is not None:
        written = written_path(error.param, paths, body)
        error.message = error.message.replace(f"'{error.param}'", f"'{written}'")
        error.param = written
    error.args = (error.message,)


def respelled(param: str, vendors: FieldPaths, clients: FieldPaths, body: bytes, *, verbatim: bool) -> str | None:
    """`param`, which a vendor complains of in its own spelling, as the client of `body` wrote it. `verbatim`: both speak one dialect.

    None: the client's dialect has nothing that it certainly is.
    """
    head = (_HEAD.match(param) or [param])[0]
    if verbatim and b'"%b"' % head.encode() in body:
        return as_spelled(param, body)
    for path in (param, head):
        neutral = next((name for name, paths in vendors.items() if path in paths), None)
        if neutral is not None and neutral in clients:
            return written_path(neutral, clients, body)
    return as_spelled(param, body) if verbatim else None
