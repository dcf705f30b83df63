"""The grid as it should be, read from grid.toml: what is asked for, in whose words, of whom, and what is to come of it."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

__all__ = ["CLIENTS", "Cell", "Expectation", "Grid", "Operation", "Provider", "aliases", "cells", "grid"]

FILE = Path(__file__).with_name("grid.toml")
CHAT = "Chat"
CLIENTS = ("python", "node")
_NOT_ON_NODE = frozenset({"gemini", "cohere"})
Outcome = Literal["works", "refused", "not offered"]


class Provider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A vendor.

    `books`: what the simulator calls it; empty: nobody is asked. `base_url`: `{}` stands for the simulator's address. `speaks`: the
    clients' dialects of chat that go through to it. `chat`: the model for whatever `models` has no other for. `listed`: a name of the
    vendor's in lists of models; without it, only names of the configuration are there. `seconds`: of a video that it makes. `thinks_aloud`: in
    its text, so that what it thought has to be told apart.
    """

    name: str
    title: str
    books: str
    base_url: str = ""
    key: str | None = None
    speaks: list[str] = []
    chat: str | None = None
    listed: str | None = None
    voice: str = "alloy"
    seconds: str = "4"
    thinks_aloud: bool = False
    bucket: str | None = None
    models: dict[str, str] = {}


class Operation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`asked`: the vendors that are asked; for all others Pulse answers by itself. Empty: all are."""

    name: str
    title: str
    group: str
    dialects: list[str]
    modes: tuple[str, ...] = ("whole",)
    asked: list[str] = []
    note: str = ""


class Expectation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What does not work, and why that is right. Empty lists mean all."""

    operations: list[str]
    outcome: Outcome
    why: str
    providers: list[str] = []
    dialects: list[str] = []
    modes: list[str] = []

    def covers(self, operation: str, dialect: str, mode: str, provider: str) -> bool:
        pairs = (
            (operation, self.operations),
            (dialect, self.dialects),
            (mode, self.modes),
            (provider, self.providers),
        )
        return all(not among or one in among for one, among in pairs)


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    operation: Operation
    dialect: str
    mode: str
    provider: Provider
    model: str
    exception: Expectation | None

    @property
    def name(self) -> str:
        return f"{self.operation.name}-{self.dialect}-{self.mode}-{self.provider.name}"

    @property
    def expected(self) -> Outcome:
        return self.exception.outcome if self.exception else "works"

    @property
    def is_chat(self) -> bool:
        return self.operation.group == CHAT

    @property
    def goes_through(self) -> bool:
        """Whether the client's bytes reach the vendor as they are, so that it is the vendor that refuses what it lacks."""
        return self.is_chat and self.dialect in self.provider.speaks

    @property
    def answered_here(self) -> bool:
        """Whether Pulse answers without asking anybody."""
        asked = self.operation.asked
        return (
            not self.provider.books
            or self.operation.name == "models"
            or bool(asked and self.provider.name not in asked)
        )

    @property
    def clients(self) -> tuple[str, ...]:
        return CLIENTS[:1] if self.dialect in _NOT_ON_NODE else CLIENTS


class Grid(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    provider: list[Provider]
    operation: list[Operation]
    exception: list[Expectation]


@cache
def grid() -> Grid:
    return msgspec.convert(tomllib.loads(FILE.read_text()), Grid)


@cache
def cells() -> tuple[Cell, ...]:
    found = grid()
    return tuple(
        Cell(
            operation=operation,
            dialect=dialect,
            mode=mode,
            provider=provider,
            model=_model(provider, operation.name, dialect),
            exception=next(
                (each for each in found.exception if each.covers(operation.name, dialect, mode, provider.name)), None
            ),
        )
        for operation in found.operation
        for dialect in operation.dialects
        for mode in operation.modes
        for provider in found.provider
    )


def aliases(provider: Provider) -> dict[str, str]:
    """Names of the configuration that lead to the vendor's models.

    Google's SDK makes one vector of all texts for models with `gemini` in their names, so it gets names without.
    """
    found = {}
    if provider.listed is None:
        found[f"our-{provider.name}"] = f"{provider.name}:{provider.chat}"
    if vectors := provider.models.get("embeddings"):
        found[f"vectors-{provider.name}"] = f"{provider.name}:{vectors}"
    return found


def _model(provider: Provider, operation: str, dialect: str) -> str:
    """Of a vendor that has nothing for the operation, whatever it has."""
    if operation == "models":
        return provider.listed or f"our-{provider.name}"
    if operation == "embeddings" and dialect == "gemini" and operation in provider.models:
        return f"vectors-{provider.name}"
    return f"{provider.name}:{provider.models.get(operation) or provider.chat or next(iter(provider.models.values()))}"
