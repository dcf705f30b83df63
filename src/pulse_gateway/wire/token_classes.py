"""Parts of a vendor's total as classes that are disjoint. Pure."""

from __future__ import annotations

__all__ = ["apart", "without"]


def without(total: int | None, *parts: int | None) -> int | None:
    """What `parts` leave of `total`; None where that is unknown."""
    if total is None:
        return None
    for part in parts:
        if part:
            total -= part
    return max(total, 0)


def apart(total: int | None, *parts: int | None) -> tuple[int | None, ...]:
    """The rest of `total`, and then `parts`, each at most what those before it leave: together they are `total`.

    Vendors count a part by its medium also where it was read from a cache; what is in the cache is not fresh as well.
    """
    if total is None:
        return (None, *parts)
    left, found = max(0, total), []
    for part in parts:
        taken = None if part is None else min(max(0, part), left)
        left -= taken or 0
        found.append(taken)
    return (left, *found)
