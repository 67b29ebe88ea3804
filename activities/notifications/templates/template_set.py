"""Words for notices: the defaults that are shipped, what operators made of them, and what to do where theirs breaks."""

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
class Source:
    """The text of one template: Jinja, autoescaped in `html`. `version` 0 is the one that is shipped."""

    name: str
    version: int
    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What one notice says. `template` names what wrote it; `problem` says why the edited template was not used."""

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
def defaults() -> Mapping[str, Source]:
    """Return the templates that are shipped, by name."""
    found: dict[str, Source] = {}
    for file in (files("activities.notifications.templates") / "defaults").iterdir():
        if file.name.endswith(".toml"):
            name = file.name.removesuffix(".toml")
            found[name] = Source(name=name, version=0, **tomllib.loads(file.read_text(encoding="utf-8")))
    return found


def default(name: str) -> Source:
    """Return a template as it is shipped; raises NotFound that lists the names."""
    try:
        return defaults()[name]
    except KeyError:
        raise NotFound(f"There is no template {name!r}; there are {', '.join(sorted(defaults()))}.") from None


def check(source: Source) -> None:
    """Raise TemplateBroken, which names field and line, unless all three parts are in the small language."""
    _prepare(source)


@dataclass
class Wording:
    """Compose notices with the templates that are in force."""

    edited: Mapping[str, Source] = field(default_factory=dict)
    _ready: dict[Source, _Prepared] = field(default_factory=dict)

    def change(self, edited: Mapping[str, Source]) -> None:
        """Put these templates in force, instead of the defaults of the same names."""
        self.edited = dict(edited)
        wanted = {*self.edited.values(), *defaults().values()}
        self._ready = {source: ready for source, ready in self._ready.items() if source in wanted}

    def compose(self, event: str, values: Mapping[str, Any]) -> Words:
        """Write a notice. An edited template that breaks is replaced by the default, and the result says so."""
        name = event if event in defaults() and event not in {LAYOUT, DIGEST} else OTHER
        if event == DIGEST:
            name = DIGEST
        return self._write(name, values)

    def brief(self, event: str, values: Mapping[str, Any]) -> Words:
        """Write a notice without the layout around it, as one part of a digest."""
        name = event if event in defaults() else OTHER
        try:
            return self._bare(self.edited.get(name, default(name)), values)
        except TemplateBroken:
            return self._bare(default(name), values)

    def _bare(self, source: Source, values: Mapping[str, Any]) -> Words:
        parts = self._prepared(source)
        subject = " ".join(parts.write("subject", values).split())[:LONGEST_SUBJECT]
        text = parts.write("text", values).strip()
        return Words(subject=subject, text=text, html=parts.write("html", values), template=source.name)

    def _write(self, name: str, values: Mapping[str, Any]) -> Words:
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

    def _wrap(self, body: Source, around: Source, values: Mapping[str, Any], problem: str | None) -> Words:
        parts, frame = self._prepared(body), self._prepared(around)
        subject = " ".join(frame.write("subject", {**values, "content": parts.write("subject", values)}).split())
        subject = subject[:LONGEST_SUBJECT] or values["event"]
        inside = {**values, "subject": subject}
        text = frame.write("text", {**inside, "content": parts.write("text", values).strip()})
        html = frame.write("html", {**inside, "content": trusted(parts.write("html", values))})
        return Words(
            subject=subject,
            text=re.sub(r"[ \t]+\n", "\n", re.sub(r"\n{3,}", "\n\n", text)).strip() + "\n",
            html=html.strip() + "\n",
            template=f"{body.name}/{body.version}" if body.version else "default",
            problem=problem,
        )

    def _prepared(self, source: Source) -> _Prepared:
        ready = self._ready.get(source)
        if ready is None:
            ready = self._ready[source] = _prepare(source)
        return ready


def preview(source: Source, values: Mapping[str, Any], *, layout: Source | None = None) -> Words:
    """Render a template that is not in force yet; raises TemplateBroken instead of falling back."""
    check(source)
    edited = {layout.name: layout} if layout else {}
    wording = Wording()
    if source.name == LAYOUT:
        return wording._wrap(default("task_opened"), source, values, None)
    return wording._wrap(source, edited.get(LAYOUT, default(LAYOUT)), values, None)


def _prepare(source: Source) -> _Prepared:
    return _Prepared(
        subject=prepare(source.subject, html=False, pointer="/subject"),
        text=prepare(source.text, html=False, pointer="/text"),
        html=prepare(source.html, html=True, pointer="/html"),
    )
