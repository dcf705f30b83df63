"""Python's search for reference cycles, tuned for a process that serves."""

from __future__ import annotations

import gc

__all__ = ["settle"]

_NEW_OBJECTS = 20_000  # between two looks at the young; 700 by default, which a single busy turn of the loop allocates many times over
_YOUNG_LOOKS = 20  # between two looks at those that survived one; and of those, between two looks at all


def settle() -> None:
    """Call once all is loaded: what is there now stays to the end, and is never looked at again.

    A full search walks every object of the process: modules, the catalog, compiled codecs. That took 60 to 80 ms, in which no
    request moves, every few thousand requests; without those objects it is over in a few. What a request makes has no cycles as a
    rule, and is freed as soon as nothing refers to it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, _YOUNG_LOOKS, _YOUNG_LOOKS)
