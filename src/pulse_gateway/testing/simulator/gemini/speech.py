"""Speech out: whose voices there are, and what they sound like here.

Source: https://ai.google.dev/gemini-api/docs/speech-generation (read 2026-11-24)
"""

from __future__ import annotations

import math
import struct
from functools import lru_cache

from pulse_gateway.testing.simulator.dice import Dice

__all__ = ["PCM", "TOKENS_PER_S", "VOICES", "tone"]

PCM = "audio/L16;codec=pcm;rate=24000"
TOKENS_PER_S = 25
VOICES = frozenset(
    {
        "achernar", "achird", "algenib", "algieba", "alnilam", "aoede", "autonoe", "callirrhoe", "charon", "despina",
        "enceladus", "erinome", "fenrir", "gacrux", "iapetus", "kore", "laomedeia", "leda", "orus", "puck", "pulcherrima",
        "rasalgethi", "sadachbia", "sadaltager", "schedar", "sulafat", "umbriel", "vindemiatrix", "zephyr", "zubenelgenubi",
    }
)  # fmt: skip
_RATE_HZ = 24_000


@lru_cache(maxsize=64)
def tone(voice: str, duration_ms: int) -> bytes:
    """One note, 16 bits little-endian, mono; each voice has its own pitch."""
    period = 60 + Dice(voice.lower().encode()).below(180)
    wave = struct.pack(f"<{period}h", *[round(8000 * math.sin(2 * math.pi * at / period)) for at in range(period)])
    size = duration_ms * _RATE_HZ // 1000 * 2
    return (wave * (size // len(wave) + 1))[:size]
