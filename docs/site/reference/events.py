"""What is put on record and told: kinds of audit entries and acts, reasons, and notifications."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from activities.notifications.templates.template_set import LAYOUT, TemplateSource, defaults
from docs.site.reference.markdown import code, plain, table
from placet.audit import admin_acts
from placet.audit.chain import KINDS
from placet.audit.reasons import WORDS

_AUDIT: Final = (Path(__file__).parents[2] / "audit.md").read_text()

_INTRO: Final = (
    "Each is an entry of a request's [audit chain](../audit.md). An endpoint for "
    "[webhooks](../notifications.md#webhooks) receives the event `request.KIND`, and may choose the kinds "
    "that it wants."
)
_ACTS: Final = (
    "What people and programs change outside of requests is in a chain of the installation. [The audit "
    "chain](../audit.md#administrative-acts) says what each act holds."
)


def page() -> str:
    """Return the page of events."""
    return "\n\n".join(
        [
            "# Events",
            "## Audit entries and webhooks",
            _INTRO,
            table(["kind", "event of a webhook", "when"], _entries()),
            "## Administrative acts",
            _ACTS,
            ", ".join(code(kind) for kind in sorted(admin_acts.KINDS)) + ".",
            "## Reasons",
            "Entries hold why something happened as a code with parameters, and the API shows the words beside them.",
            table(["code", "words"], [[code(name), plain(words)] for name, words in sorted(WORDS.items())]),
            "## Notifications",
            "Each has a template that designers can change under `/operations/notification-templates`.",
            table(["template", "subject"], [[code(each.name), code(each.subject)] for each in _templates()]),
        ]
    )


def _entries() -> list[list[str]]:
    told: dict[str, str] = {}
    for names, when in re.findall(r"^\| ((?:`[a-z_]+`(?:, )?)+) \| (.*) \|$", _AUDIT, re.MULTILINE):
        told |= dict.fromkeys(re.findall(r"`([a-z_]+)`", names), when)
    return [
        [code(kind), code(f"request.{kind}"), re.sub(r"\]\((?=#)", "](../audit.md", told[kind])]
        for kind in sorted(KINDS)
    ]


def _templates() -> list[TemplateSource]:
    return [each for name, each in sorted(defaults().items()) if name != LAYOUT]
