"""A quantile of values."""

from __future__ import annotations

from collections.abc import Sequence


def quantile(rising: Sequence[float], share: float) -> float:
    """Return the quantile of this share (0 to 1) of values in rising order, at least one, interpolated linearly."""
    place = (len(rising) - 1) * share
    low = int(place)
    high = min(low + 1, len(rising) - 1)
    return rising[low] + (rising[high] - rising[low]) * (place - low)
