"""The settings of drafting: which language model writes drafts, and within which bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from placet.errors import NotConfigured

MOST_REPAIRS: Final = 3
"""How often the findings about an answer go back to the model."""
LONGEST_WORDS: Final = 4_000
"""Characters of what somebody writes."""
LONGEST_SENT: Final = 200_000
"""Characters of everything that goes to the model for one draft."""


@dataclass(frozen=True, kw_only=True)
class DraftingSettings:
    """The language model that writes drafts, as `provider:name`; where there are no settings, nothing is ever sent."""

    model: str
    url: str | None = None
    """Where it is reached; None: at its provider's own address."""
    key: str | None = field(default=None, repr=False)
    """The key of its provider; None: what the provider's own library finds, or none is needed."""
    seconds: float = 120
    """How long one draft may take, with all repairs."""
    answer_bytes: int = 400_000
    """How large one answer may be, as it arrives."""
    at_once: int = 2
    """How many drafts one process asks for at the same time; the next one is refused."""


def settings_of(drafting: DraftingSettings | None) -> DraftingSettings:
    """Return the settings of drafting; raises NotConfigured where there are none."""
    if drafting is None:
        raise NotConfigured(
            "No language model is set up here, and nothing was sent. Set PLACET_DRAFTING_MODEL (docs/drafting.md), or "
            "begin an empty draft."
        )
    return drafting
