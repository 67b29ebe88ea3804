"""The values that a template may name: plain and bounded, from rows of the store or as a sample."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from activities.notifications.settings import below, page_of
from languages import formats
from languages.catalogues import SOURCE, Language, say_in
from storage.queries.notifications.facts import Declared

LONGEST_VALUE = 2_000  # characters of any one value
MOST_FACTS = 12
_LONGEST_FACT = 200  # characters of one value in a list
DETAILS = ("by", "why", "text", "asked", "level", "outcome", "due_at", "signed_by", "signed_reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateContext:
    """What a notification is about, from the store: columns of the request, its task and its audit entry."""

    event: str
    person: str
    person_name: str
    at: datetime
    actor: str = "system"
    entry_why: str | None = None  # in the language of the message
    detail: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)  # person id -> name
    request: Mapping[str, Any] | None = None  # columns of approval_request, `timezone`, and `variables` by name
    task: Mapping[str, Any] | None = None  # columns of approval_task


def values(
    subject: TemplateContext,
    *,
    public_url: str | None,
    links: Mapping[str, str] | None = None,
    now: datetime | None = None,
    timezone: str | None = None,
    language: Language = SOURCE,
) -> dict[str, Any]:
    """Return all values that a template may name. None stands for what is unknown, so that no name is missing.

    `now` is the time of sending, by default that of the event. Times are in the person's `timezone`, else in the
    process's; what a request says is written as `language` writes numbers and days.
    """
    request, task = subject.request, subject.task
    zone = _zone(timezone or (request or {}).get("timezone"))
    shown = _Shown(language, zone, (request or {}).get("variables") or {})

    def name_of(who: str) -> str:
        return _who(who, subject.names)

    detail: dict[str, Any] = dict.fromkeys(DETAILS)
    detail["why"] = _bounded(subject.entry_why)
    detail |= {str(name): _bounded(value) for name, value in list(subject.detail.items())[:50] if name != "changes"}
    if detail["by"]:
        detail["by"] = name_of(detail["by"])
    return {
        "event": subject.event,
        "at": subject.at,
        "actor": name_of(subject.actor),
        "subject": "",
        "detail": detail,
        "person": {
            "id": subject.person,
            "name": subject.person_name,
            "is_requester": request is not None and request["requester"] == subject.person,
            "holds_task": task is not None and _holds(task, subject.person),
        },
        "request": request
        and {
            "id": request["id"],
            "title": _one_line(_bounded(request["title"])),
            "template": request["template"],
            "version": request["version"],
            "requester": name_of(request["requester"]),
            "status": request["status"],
            "outcome": request["outcome"],
            "stage": request["stage"],
            "round": request["round"],
            "started_at": request["started_at"],
            "timezone": zone,
            "input": {name: _bounded(value) for name, value in request["input"].items()},
            "facts": shown.facts(request["input"]),
            "changes": shown.changes(subject.detail.get("changes")),
            "url": page_of(public_url, request["id"]),
        },
        "task": task
        and {
            "id": task["id"],
            "stage": task["stage"],
            "round": task["round"],
            "assignee": name_of(task["assignee"]) if task["assignee"] else None,
            "in_queue": task["assignee"] is None,
            "opened_at": task["opened_at"],
            "due_at": task["due_at"],
            "overdue": task["due_at"] is not None and task["due_at"] <= (now or subject.at),
            "sla_state": task["sla_state"],
            "level": task["escalation_level"],
            "status": task["status"],
        },
        "links": {
            "approve": None,
            "reject": None,
            **(links or {}),
            "open": _task_page(public_url, task, subject.person),
        },
        "site": {"url": public_url, "preferences": below(public_url, "preferences")},
    }


def sample(event: str) -> TemplateContext:
    """Return a sample to preview a template with, where no real request is given."""
    now = datetime(2025, 3, 4, 9, 30, tzinfo=UTC)
    due = now + timedelta(hours=24)
    request = {
        "id": "req-sample",
        "title": "Laptop for Ada <ada@example.org>",
        "template": "Expense approval",
        "version": "1.0.0",
        "requester": "ada",
        "status": "pending",
        "outcome": None,
        "stage": "Manager Approval",
        "round": 1,
        "started_at": now,
        "timezone": "Europe/Berlin",
        "input": {"amount": "1250.00", "department": "it", "reason": 'The old one is "slow" & loud'},
        "variables": {"amount": Declared(type="decimal", currency="EUR")},
    }
    task = {
        "id": "req-sample-1",
        "stage": "Manager Approval",
        "round": 1,
        "assignee": "grace",
        "candidates": [],
        "delegates": [],
        "opened_at": now,
        "due_at": due,
        "sla_state": "ok",
        "escalation_level": 0,
        "status": "open",
    }
    detail: dict[str, Any] = {
        "by": "user:ada",
        "text": "Is a <used> one enough?",
        "asked": "Is a <used> one enough?",
        "level": 1,
        "due_at": due.isoformat(),
    }
    if event == "completed":
        detail |= {"outcome": "approved", "signed_by": "Ada", "signed_reason": "I reviewed it"}
    if event == "slo_warning":
        detail |= {"sla": "Expenses within a day", "target_seconds": 86400, "actual_seconds": 60000}
    if event == "slo_breached":
        detail = {
            "severity": "critical",
            "sla": "Expenses within a day",
            "workflow": "Expense approval",
            "target_seconds": 86400,
            "actual_seconds": 101000,
            "margin_seconds": 14600,
            "margin_percent": "16.9",
            "executions": 120,
            "breached_executions": 5,
            "current_slo": "95.8",
            "target_slo": "99",
        }
    if event == "canary_reverted":
        detail = {
            "by": None,
            "workflow": "Expense approval",
            "version": "1.1.0",
            "baseline": "1.0.0",
            "notes": None,
            "measure": "outcome",
            "margin": 5,
            "low": 8.2,
            "high": 31.5,
            "new_count": 42,
            "old_count": 160,
        }
    of_request = event not in {"slo_breached", "canary_reverted"}
    return TemplateContext(
        event=event,
        person="grace",
        person_name="Grace",
        at=now,
        actor="user:ada",
        entry_why="an example",
        detail=detail,
        names={"ada": "Ada", "grace": "Grace"},
        request=request if of_request else None,
        task=task if of_request else None,
    )


def _task_page(public_url: str | None, task: Mapping[str, Any] | None, person: str) -> str | None:
    """Return the page of a task, for whoever can decide or claim it there."""
    return below(public_url, f"tasks/{task['id']}") if task is not None and _holds(task, person) else None


def _holds(task: Mapping[str, Any], person: str) -> bool:
    if task["status"] != "open":
        return False
    holders = [task["assignee"], *task["delegates"]] if task["assignee"] else task["candidates"]
    return person in holders


def _who(who: str, names: Mapping[str, str]) -> str:
    person = who.removeprefix("user:")
    return names.get(person, "Placet" if person == "system" else person)


def _zone(name: Any) -> str:
    try:
        ZoneInfo(str(name or "UTC"))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "UTC"
    return str(name or "UTC")


def _bounded(value: Any) -> Any:
    """Return numbers as they are and everything else as a text of bounded length."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if abs(value) < 10**18 else str(value)[:LONGEST_VALUE]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


@dataclass(frozen=True, slots=True)
class _Shown:
    """Writes what a request says by its declared variables, as one language writes it."""

    language: Language
    zone: str
    declared: Mapping[str, Declared]

    def facts(self, given: Mapping[str, Any]) -> list[dict[str, str]]:
        """Return the first values of an input, each with its name and what it is called."""
        return [
            {"name": name, "label": self._label(name), "value": self._text(name, value)}
            for name, value in list(given.items())[:MOST_FACTS]
        ]

    def changes(self, changed: Any) -> list[dict[str, str]]:
        """Return the fields that the last revision changed, as texts."""
        changes = changed if isinstance(changed, list) else []
        found = []
        for one in changes[:MOST_FACTS]:
            name = str(one["field"]).removeprefix("input.")
            before, after = self._text(name, one["before"]), self._text(name, one["after"])
            label = self._label(name)
            found.append({"field": str(one["field"]), "label": label, "before": before, "after": after})
        return found

    def _title(self, name: str) -> str | None:
        declared = self.declared.get(name)
        return _short(declared.title) if declared is not None and declared.title else None

    def _label(self, name: str) -> str:
        """Return what a declared variable is called: its title, else its name as words."""
        if name not in self.declared:
            return name
        words = name.replace("_", " ").strip()
        return self._title(name) or _short(words[:1].upper() + words[1:] or name)

    def _text(self, name: str, value: Any) -> str:
        if value is None:
            return say_in(self.language)("(nothing)")
        if isinstance(value, bool):
            return say_in(self.language)("yes" if value else "no")
        declared = self.declared.get(name)
        if declared is not None and isinstance(value, str | int):
            try:
                return self._typed(declared, value)
            except (ValueError, ArithmeticError):
                pass  # it is as it was sent
        return _short(value)

    def _typed(self, declared: Declared, value: str | int) -> str:
        """Write a value by its type; raises ValueError or ArithmeticError for one that is not of it."""
        match declared.type:
            case "decimal" if declared.currency is not None:
                return formats.money(_decimal(value), declared.currency, self.language)
            case "decimal" | "integer":
                return formats.number(_decimal(value), self.language)
            case "date":
                return formats.day(date.fromisoformat(str(value)), self.language)
            case "datetime":
                return formats.when(str(value), self.zone, self.language)
            case _:
                return _short(value)


def _decimal(value: str | int) -> Decimal:
    """Read a number as it is stored; raises ValueError or ArithmeticError for what is none, or very long."""
    if len(str(value)) > _LONGEST_FACT:
        raise ValueError("it is too long for a line")
    number = Decimal(value)
    if not number.is_finite() or abs(number.adjusted()) > _LONGEST_FACT:
        raise ValueError("it is too long for a line")
    return number


def _one_line(text: str) -> str:
    """Return a text in one line, so that its author cannot add lines to a mail."""
    return " ".join(text.split())


def _short(value: Any) -> str:
    text = _one_line(str(_bounded(value)))
    return text if len(text) <= _LONGEST_FACT else text[: _LONGEST_FACT - 1] + "…"
