"""The set of templates in force: the shipped defaults in each language, and the templates that operators have edited.

One message is in one language: its reader's, unless operators have edited its template or the layout in other languages
alone. Where an edited template fails, the default of its language is used, and the result says so.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from jinja2 import Template

from activities.notifications.templates.sandbox import TemplateBroken, prepare, render, trusted
from languages.catalogues import LANGUAGES, SOURCE, Language
from placet.errors import NotFound
from storage.queries.notifications.rows import TemplateRow
from storage.tables.notifications import NotificationTemplate

LAYOUT, DIGEST, OTHER = "layout", "digest", "other"
LONGEST_SUBJECT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateSource:
    """The source of one template in one language: Jinja, autoescaped in `html`. `version` 0 is the shipped default."""

    name: str
    version: int
    subject: str
    text: str
    html: str
    language: Language = SOURCE


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedText:
    """The text of one notification.

    `template` names the template; `problem` says why the edited one was not used.
    """

    subject: str
    text: str
    html: str
    template: str
    language: Language
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class _Prepared:
    subject: Template
    text: Template
    html: Template

    def write(self, part: Literal["subject", "text", "html"], values: Mapping[str, Any]) -> str:
        return render(getattr(self, part), values, pointer=f"/{part}")


@cache
def defaults(language: Language = SOURCE) -> Mapping[str, TemplateSource]:
    """Return the shipped templates of a language by name; English has the folder, another language one inside it."""
    found: dict[str, TemplateSource] = {}
    folder = files("activities.notifications.templates") / "defaults"
    for file in (folder if language == SOURCE else folder / language).iterdir():
        if file.name.endswith(".toml"):
            name, parts = file.name.removesuffix(".toml"), tomllib.loads(file.read_text(encoding="utf-8"))
            found[name] = TemplateSource(name=name, version=0, language=language, **parts)
    return found


def default(name: str, language: Language = SOURCE) -> TemplateSource:
    """Return a shipped template; raises NotFound that lists the names."""
    try:
        return defaults(language)[name]
    except KeyError:
        raise NotFound(f"There is no template {name!r}; there are {', '.join(sorted(defaults()))}.") from None


def source_of(row: NotificationTemplate | TemplateRow) -> TemplateSource:
    """Return a template that operators have edited, as it is stored."""
    return TemplateSource(
        name=row.name,
        version=row.version,
        subject=row.subject,
        text=row.text,
        html=row.html,
        language=row.language,
    )


def check(source: TemplateSource) -> None:
    """Raise TemplateBroken, which names field and line, unless all three parts compile."""
    _prepare(source)


class TemplateSet:
    """Renders notifications with the templates in force."""

    def __init__(self, edited: Iterable[TemplateSource] = ()) -> None:
        """`edited` are used instead of the defaults of the same names and languages."""
        self._edited: dict[str, dict[Language, TemplateSource]] = {}
        self._ready: dict[TemplateSource, _Prepared] = {}
        self.change(edited)

    def change(self, edited: Iterable[TemplateSource]) -> None:
        """Use these templates, and no longer those that were given before."""
        self._edited = {}
        for source in edited:
            self._edited.setdefault(source.name, {})[source.language] = source
        wanted = {source for mine in self._edited.values() for source in mine.values()}
        kept = (source for source in self._ready if source.version == 0 or source in wanted)
        self._ready = {source: self._ready[source] for source in kept}

    def language_for(self, event: str, wanted: Language) -> Language:
        """Return the language of a message to somebody who wants this one."""
        if not self._edited:
            return wanted
        name = _template_of(event)
        order = (wanted, *LANGUAGES)
        whole = (one for one in order if self._has(name, one) and self._has(LAYOUT, one))
        return next(whole, next((one for one in order if self._has(name, one)), wanted))

    def compose(self, event: str, values: Mapping[str, Any], language: Language = SOURCE) -> RenderedText:
        """Render a notification in a language (`language_for`), with values of that language.

        Where an edited template fails, the default is used, and the result says so.
        """
        return self._write(_template_of(event), values, language)

    def brief(self, event: str, values: Mapping[str, Any], language: Language = SOURCE) -> RenderedText:
        """Render a notification without the layout, as one part of a digest."""
        name = _template_of(event)
        try:
            return self._bare(self._in_force(name, language), values)
        except TemplateBroken:
            return self._bare(default(name, language), values)

    def _has(self, name: str, language: Language) -> bool:
        mine = self._edited.get(name)
        return mine is None or language in mine

    def _in_force(self, name: str, language: Language) -> TemplateSource:
        """Return the template of a language; one that was edited in other languages alone, in the first of them."""
        mine = self._edited.get(name)
        if mine is None:
            return default(name, language)
        return mine.get(language) or next(mine[one] for one in LANGUAGES if one in mine)

    def _bare(self, source: TemplateSource, values: Mapping[str, Any]) -> RenderedText:
        parts = self._prepared(source)
        return RenderedText(
            subject=" ".join(parts.write("subject", values).split())[:LONGEST_SUBJECT],
            text=parts.write("text", values).strip(),
            html=parts.write("html", values),
            template=source.name,
            language=source.language,
        )

    def _write(self, name: str, values: Mapping[str, Any], language: Language) -> RenderedText:
        mine, layout = self._in_force(name, language), self._in_force(LAYOUT, language)
        shipped, around = default(name, language), default(LAYOUT, language)
        problem: str | None = None
        for body, frame in dict.fromkeys([(mine, layout), (mine, around), (shipped, layout)]):
            try:
                return self._wrap(body, frame, values, problem)
            except TemplateBroken as error:
                problem = problem or error.message
        return self._wrap(shipped, around, values, problem)

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
            language=body.language,
            problem=problem,
        )

    def _prepared(self, source: TemplateSource) -> _Prepared:
        ready = self._ready.get(source)
        if ready is None:
            ready = self._ready[source] = _prepare(source)
        return ready


def preview(source: TemplateSource, values: Mapping[str, Any]) -> RenderedText:
    """Render a template that is not in force; raises TemplateBroken instead of using the default."""
    check(source)
    if source.name == LAYOUT:
        return TemplateSet()._wrap(default("task_opened", source.language), source, values, None)
    return TemplateSet()._wrap(source, default(LAYOUT, source.language), values, None)


def _template_of(event: str) -> str:
    """Return the name of the template of an event; events that have none share one."""
    return event if event in defaults() and event != LAYOUT else OTHER


def _prepare(source: TemplateSource) -> _Prepared:
    said = source.language
    return _Prepared(
        subject=prepare(source.subject, html=False, pointer="/subject", language=said),
        text=prepare(source.text, html=False, pointer="/text", language=said),
        html=prepare(source.html, html=True, pointer="/html", language=said),
    )
