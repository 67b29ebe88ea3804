"""The set of templates in force: the shipped defaults, and the templates that operators have edited.

Where an edited template fails, the default is used, and the result says so.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from jinja2 import Template

from activities.notifications.templates.sandbox import TemplateBroken, prepare, render, trusted
from placet.errors import NotFound

LAYOUT, DIGEST, OTHER = "layout", "digest", "other"
LONGEST_SUBJECT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateSource:
    """The source of one template: Jinja, autoescaped in `html`. `version` 0 is the shipped default."""

    name: str
    version: int
    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedText:
    """The text of one notification.

    `template` names the template; `problem` says why the edited one was not used.
    """

    subject: str
    text: str
    html: str
    template: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class _Prepared:
    subject: Template
    text: Template
    html: Template

    def write(self, part: Literal["subject", "text", "html"], values: Mapping[str, Any]) -> str:
        return render(getattr(self, part), values, pointer=f"/{part}")


@cache
def defaults() -> Mapping[str, TemplateSource]:
    """Return the shipped templates by name."""
    found: dict[str, TemplateSource] = {}
    for file in (files("activities.notifications.templates") / "defaults").iterdir():
        if file.name.endswith(".toml"):
            name = file.name.removesuffix(".toml")
            found[name] = TemplateSource(name=name, version=0, **tomllib.loads(file.read_text(encoding="utf-8")))
    return found


def default(name: str) -> TemplateSource:
    """Return a shipped template; raises NotFound that lists the names."""
    try:
        return defaults()[name]
    except KeyError:
        raise NotFound(f"There is no template {name!r}; there are {', '.join(sorted(defaults()))}.") from None


def check(source: TemplateSource) -> None:
    """Raise TemplateBroken, which names field and line, unless all three parts compile."""
    _prepare(source)


@dataclass
class TemplateSet:
    """Renders notifications with the templates in force."""

    edited: Mapping[str, TemplateSource] = field(default_factory=dict)
    _ready: dict[TemplateSource, _Prepared] = field(default_factory=dict)

    def change(self, edited: Mapping[str, TemplateSource]) -> None:
        """Use these templates instead of the defaults of the same names."""
        self.edited = dict(edited)
        wanted = {*self.edited.values(), *defaults().values()}
        self._ready = {source: ready for source, ready in self._ready.items() if source in wanted}

    def compose(self, event: str, values: Mapping[str, Any]) -> RenderedText:
        """Render a notification. Where an edited template fails, the default is used, and the result says so."""
        name = event if event in defaults() and event not in {LAYOUT, DIGEST} else OTHER
        if event == DIGEST:
            name = DIGEST
        return self._write(name, values)

    def brief(self, event: str, values: Mapping[str, Any]) -> RenderedText:
        """Render a notification without the layout, as one part of a digest."""
        name = event if event in defaults() else OTHER
        try:
            return self._bare(self.edited.get(name, default(name)), values)
        except TemplateBroken:
            return self._bare(default(name), values)

    def _bare(self, source: TemplateSource, values: Mapping[str, Any]) -> RenderedText:
        parts = self._prepared(source)
        subject = " ".join(parts.write("subject", values).split())[:LONGEST_SUBJECT]
        text = parts.write("text", values).strip()
        return RenderedText(subject=subject, text=text, html=parts.write("html", values), template=source.name)

    def _write(self, name: str, values: Mapping[str, Any]) -> RenderedText:
        mine = self.edited.get(name, default(name))
        layout = self.edited.get(LAYOUT, default(LAYOUT))
        problem: str | None = None
        attempts = dict.fromkeys([(mine, layout), (mine, default(LAYOUT)), (default(name), layout)])
        for body, around in attempts:
            try:
                return self._wrap(body, around, values, problem)
            except TemplateBroken as error:
                problem = problem or error.message
        return self._wrap(default(name), default(LAYOUT), values, problem)

    def _wrap(
        self, body: TemplateSource, around: TemplateSource, values: Mapping[str, Any], problem: str | None
    ) -> RenderedText:
        parts, frame = self._prepared(body), self._prepared(around)
        subject = " ".join(frame.write("subject", {**values, "content": parts.write("subject", values)}).split())
        subject = subject[:LONGEST_SUBJECT] or values["event"]
        inside = {**values, "subject": subject}
        text = frame.write("text", {**inside, "content": parts.write("text", values).strip()})
        html = frame.write("html", {**inside, "content": trusted(parts.write("html", values))})
        return RenderedText(
            subject=subject,
            text=re.sub(r"[ \t]+\n", "\n", re.sub(r"\n{3,}", "\n\n", text)).strip() + "\n",
            html=html.strip() + "\n",
            template=f"{body.name}/{body.version}" if body.version else "default",
            problem=problem,
        )

    def _prepared(self, source: TemplateSource) -> _Prepared:
        ready = self._ready.get(source)
        if ready is None:
            ready = self._ready[source] = _prepare(source)
        return ready


def preview(source: TemplateSource, values: Mapping[str, Any], *, layout: TemplateSource | None = None) -> RenderedText:
    """Render a template that is not in force; raises TemplateBroken instead of using the default."""
    check(source)
    edited = {layout.name: layout} if layout else {}
    templates = TemplateSet()
    if source.name == LAYOUT:
        return templates._wrap(default("task_opened"), source, values, None)
    return templates._wrap(source, edited.get(LAYOUT, default(LAYOUT)), values, None)


def _prepare(source: TemplateSource) -> _Prepared:
    return _Prepared(
        subject=prepare(source.subject, html=False, pointer="/subject"),
        text=prepare(source.text, html=False, pointer="/text"),
        html=prepare(source.html, html=True, pointer="/html"),
    )
