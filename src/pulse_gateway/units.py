"""Money is an integer count of nano-dollars; no float ever holds an amount."""

from functools import lru_cache
from typing import NewType

__all__ = ["NanoUSD", "usd"]

NanoUSD = NewType("NanoUSD", int)


@lru_cache(1024)  # an exchange's cost is written into its answer's head and into its line of the log
def usd(amount: int) -> str:
    """`amount` in nano-USD as a decimal string of dollars, exact: 1_500_000 → "0.0015"."""
    sign = "-" if amount < 0 else ""
    whole, nano = divmod(abs(amount), 1_000_000_000)
    return f"{sign}{whole}.{nano:09d}".rstrip("0").rstrip(".")
