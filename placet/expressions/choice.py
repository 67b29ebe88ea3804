"""What could stand in the place of an unknown name."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from placet.sentences import sentence

_NEAR = 0.6
_MOST = 20  # of what an author has named; the language's own functions are all listed


def choice(wrong: str, names: Iterable[str], what: str) -> str:
    """Say which names there are, the likeliest first."""
    known = sorted(set(names))
    if not known:
        return sentence("there are no {what} here", what=what)
    close = get_close_matches(wrong, known, n=1, cutoff=_NEAR)
    meant = sentence("did you mean {close!r}? ", close=close[0]) if close else ""
    most = _MOST if what != "functions" else len(known)
    listed = ", ".join(known[:most])
    if len(known) > most:
        listed = sentence("{listed} and {count} more", listed=listed, count=len(known) - most)
    return sentence("{meant}{what}: {listed}", meant=meant, what=what, listed=listed)
