"""What vendors that copied Chat Completions take otherwise, where a request is said to them in other words than its client's."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Habits", "habits_of"]


class Habits(msgspec.Struct, frozen=True, kw_only=True):
    """Of one vendor.

    `reasoning_back`: the history is to show the model its own reasoning, or is refused. `details_back`: `reasoning_details` prove it.
    `signatures_back`: thought signatures may stand on calls. `thinking`: whether to think has a switch of its own.
    `empty_turns`: an assistant message may be empty. `user`: who asks may be told. `top_k`: it is a member like any other.
    """

    reasoning_back: bool = False
    details_back: bool = False
    signatures_back: bool = False
    thinking: Literal["effort", "switch"] = "effort"
    empty_turns: bool = True
    user: bool = True
    top_k: bool = False


_USUAL = Habits()
_HABITS = {
    # Source: https://api-docs.deepseek.com/guides/thinking_mode (read 2026-11-24)
    "deepseek": Habits(reasoning_back=True, thinking="switch"),
    # Source: https://docs.mistral.ai/api/endpoint/chat (read 2026-11-24)
    "mistral": Habits(empty_turns=False, user=False),
    # Source: https://openrouter.ai/docs/use-cases/reasoning-tokens and /api-reference/parameters (read 2026-11-24)
    "openrouter": Habits(details_back=True, top_k=True),
    # Source: https://docs.ollama.com/api/openai-compatibility (read 2026-11-24)
    "ollama": Habits(user=False),
    # Source: https://docs.together.ai/reference/chat-completions-1 (read 2026-11-24)
    "together": Habits(top_k=True),
    # Source: https://docs.fireworks.ai/api-reference/post-chatcompletions (read 2026-11-24)
    "fireworks": Habits(top_k=True),
    # Source: https://docs.vllm.ai/en/latest/serving/openai_compatible_server (read 2026-11-24)
    "vllm": Habits(top_k=True),
    # Source: https://lmstudio.ai/docs/developer/openai-compat (read 2026-11-24)
    "lmstudio": Habits(top_k=True),
    # Google's own endpoint of this shape among them: https://ai.google.dev/gemini-api/docs/openai (read 2026-11-24)
    "openai_compatible": Habits(details_back=True, signatures_back=True),
}


def habits_of(vendor: str) -> Habits:
    return _HABITS.get(vendor, _USUAL)
