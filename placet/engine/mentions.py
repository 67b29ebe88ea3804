"""Mentions: people who are named in a text as `@id`.

Who of them may see the request, the API looks up before it offers the event; the event carries the result, so that a
replay tells the same people. The core takes only those whom the text names.
"""

from __future__ import annotations

import re

from placet.definition.assignees import is_person

MOST_MENTIONS = 20  # people in one text; more are left out
_MENTION = re.compile(r"(?<![A-Za-z0-9_.@+-])@([A-Za-z0-9][A-Za-z0-9_.@+-]{0,127})")


def mentioned_in(text: str) -> list[str]:
    """List the ids that a text mentions, each once, in their order; the punctuation of a sentence is none of an id."""
    found = (match.group(1).rstrip(".+-@") for match in _MENTION.finditer(text))
    return [*dict.fromkeys(one for one in found if is_person(one))][:MOST_MENTIONS]


def with_names(text: str, names: dict[str, str]) -> str:
    """Return the text with the names of those people whose name is known in the place of their ids."""

    def named(match: re.Match[str]) -> str:
        ident = match.group(1).rstrip(".+-@")
        return f"@{names[ident]}{match.group(1)[len(ident) :]}" if ident in names else match.group(0)

    return _MENTION.sub(named, text)
