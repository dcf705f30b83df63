"""Everything of OpenAI's shape beside chat, by the path after the base URL: for OpenAI itself and for those who copied it."""

from __future__ import annotations

import re
from collections.abc import Callable

from pulse_gateway.testing.simulator.config import Config
from pulse_gateway.testing.simulator.openai.body import json_body
from pulse_gateway.testing.simulator.openai.embeddings import embeddings
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.vendor import Chat, Request, Target

__all__ = ["Operations"]

_Operation = Callable[[Request, str], Work | Chat]


class Operations:
    """Keeps what `store` asks for; one for each vendor."""

    def __init__(self, seed: int, config: Config) -> None:
        self._seed = seed
        self._words: dict[tuple[str, str], str] = {  # method and path → the operation's word
            ("POST", "embeddings"): "embeddings",
        }
        self._paths = {path for _, path in self._words}
        self._patterns: tuple[tuple[str, re.Pattern[str], str], ...] = ()
        self._operations: dict[str, _Operation] = {
            "embeddings": lambda request, model: embeddings(json_body(request, model), seed),
        }

    def target(self, method: str, path: str, model: str = "") -> Target | None:
        """What a path asks for; None: nothing that is offered here. `model` is what the path names, if it names one."""
        word = self._words.get((method, path))
        if word is not None:
            return Target(word, model)
        if path in self._paths:
            return Target("wrong method", model)
        known = False
        for its_method, pattern, word in self._patterns:
            if pattern.fullmatch(path):
                if its_method == method:
                    return Target(word, model)
                known = True
        return Target("wrong method", model) if known else None

    def work(self, request: Request, target: Target) -> Work | Chat:
        """Raises: Refusal."""
        return self._operations[target.operation](request, target.model)

    def reset(self) -> None:
        """Forget what was stored."""
