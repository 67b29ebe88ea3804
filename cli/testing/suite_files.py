"""Find and read suites: the files of scenarios, and what they name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from activities.actions.builtin import BUILT_IN
from cli.commands.definitions import read
from placet.definition.action_spec import ActionSpec
from placet.definition.assignees import person_id
from placet.definition.model import parse_definition
from placet.directory import Directory
from placet.errors import BlueprintInvalid, InputInvalid
from placet.json_pointer import parts_of
from placet.json_text import with_floats
from placet.plan.compiler import compile_plan
from placet.plan.plan import Child
from placet.yaml_text import MAX_BYTES, NotYaml, YamlText, read_yaml
from service.administration.person_document import PersonDocument
from simulation.testing.scenario_run import Subject
from simulation.testing.suite import Suite, parse_suite
from storage.queries.people.people import as_directory_person

ENDINGS = (".test.yaml", ".test.yml")
MOST_FILES = 1000
_SKIPPED = {"node_modules", "__pycache__"}
_PEOPLE = TypeAdapter(list[PersonDocument])
_ACTIONS = TypeAdapter(list[ActionSpec])


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteFile:
    """A suite that was read: its file, its text with the places in it, and what it is about."""

    file: Path
    text: YamlText
    suite: Suite
    subject: Subject
    blueprint: Path

    def place(self, path: Iterable[str | int]) -> str:
        """Return where something stands: file, line and column."""
        return f"{self.file}:{self.text.place(tuple(path))}"


def find_suites(paths: Sequence[Path]) -> list[Path]:
    """Return the files of scenarios that are named or in these folders; raises InputInvalid where there is none."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(_inside(path))
        elif path.is_file():
            found.append(path)
        else:
            raise InputInvalid(f"There is no file or folder {path}.")
    if not found:
        where = ", ".join(map(str, paths))
        raise InputInvalid(f"No scenarios were found in {where}: their files end in {' or '.join(ENDINGS)}.")
    if len(found) > MOST_FILES:
        raise InputInvalid(f"There are more than {MOST_FILES:,} files of scenarios; name some of them.")
    return list(dict.fromkeys(found))


def _inside(folder: Path) -> Iterator[Path]:
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _SKIPPED]
        yield from (Path(here) / name for name in files if name.endswith(ENDINGS))


def read_suite(file: Path) -> SuiteFile:
    """Read a suite and the files that it names; raises InputInvalid with file, line and column of each fault."""
    try:
        with file.open("rb") as opened:
            text = read_yaml(opened.read(MAX_BYTES + 1))
    except OSError as error:
        raise InputInvalid(f"{file} cannot be read: {error.strerror}") from error
    except NotYaml as error:
        raise InputInvalid(f"{file}:{error.place}: {error.message}") from error
    try:
        suite = parse_suite(text.value)
    except InputInvalid as error:
        raise _told(file, text, [(_path(text.value, one.pointer), one.message) for one in error.problems]) from error
    blueprint = Path(os.path.normpath(file.parent / suite.blueprint))
    read_file = SuiteFile(file=file, text=text, suite=suite, subject=_subject(file, text, suite), blueprint=blueprint)
    if unknown := [*_unknown_people(suite, read_file.subject.people)]:
        raise _told(file, text, unknown)
    return read_file


def _told(file: Path, text: YamlText, faults: Iterable[tuple[tuple[str | int, ...], str]]) -> InputInvalid:
    return InputInvalid("\n".join(f"{file}:{text.place(path)}: {message}" for path, message in faults))


def _path(raw: Any, pointer: str) -> tuple[str | int, ...]:
    """Return the way that a JSON Pointer goes through a document, with numbers for the items of lists."""
    path: list[str | int] = []
    for part in parts_of(pointer):
        key: str | int = int(part) if isinstance(raw, list) and part.isdigit() else part
        path.append(key)
        inside = isinstance(raw, dict) and key in raw
        inside = inside or (isinstance(raw, list) and isinstance(key, int) and key < len(raw))
        raw = raw[key] if inside else None
    return tuple(path)


def _subject(file: Path, text: YamlText, suite: Suite) -> Subject:
    """Read what a suite names; faults are told at the place that names it."""

    def content(name: str, path: tuple[str | int, ...]) -> Any:
        try:
            return with_floats(read(file.parent / name))
        except InputInvalid as error:
            raise _told(file, text, [(path, error.message)]) from error

    try:
        people = _PEOPLE.validate_python(content(suite.people, ("people",)))
    except ValidationError as error:
        raise _told(file, text, [(("people",), f"{suite.people} is no list of people: {_first(error)}")]) from error
    actions = {spec.name: spec for spec in BUILT_IN}
    if suite.actions is not None:
        try:
            given = _ACTIONS.validate_python(content(suite.actions, ("actions",)))
        except ValidationError as error:
            message = f"{suite.actions} is no list of actions: {_first(error)}"
            raise _told(file, text, [(("actions",), message)]) from error
        actions |= {spec.name: spec for spec in given}
    now = datetime.now(UTC)
    directory = Directory(people={one.id: as_directory_person(one.row(one.id, now)) for one in people})
    children = _children(
        file, text, suite, actions, [content(n, ("processes", i)) for i, n in enumerate(suite.processes)]
    )
    blueprint = content(suite.blueprint, ("blueprint",))
    try:
        definition = parse_definition(blueprint)
        compile_plan(definition, start=suite.starts_at, actions=actions, children=children)
    except BlueprintInvalid as error:
        message = f"{suite.blueprint} cannot be used: {error.message} `placet check` says more."
        raise _told(file, text, [(("blueprint",), message)]) from error
    return Subject(blueprint=blueprint, people=directory, actions=actions, children=children)


def _children(
    file: Path, text: YamlText, suite: Suite, actions: Mapping[str, ActionSpec], raws: Sequence[Any]
) -> dict[str, Child]:
    """Compile the processes of sub-processes; each may name those before it."""
    children: dict[str, Child] = {}
    for number, raw in enumerate(raws):
        try:
            definition = parse_definition(raw)
            plan = compile_plan(definition, start=suite.starts_at, actions=actions, children=children)
        except BlueprintInvalid as error:
            message = f"{suite.processes[number]} cannot be used: {error.message}"
            raise _told(file, text, [(("processes", number), message)]) from error
        child = Child(template_id=suite.processes[number], plan=plan)
        children |= {definition.name: child, f"{definition.name}@{definition.version}": child}
    return children


def _first(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    return f"{'/'.join(map(str, fault['loc']))}: {fault['msg']}"


def _unknown_people(suite: Suite, people: Directory) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield where a suite names somebody who is not in its file of people."""
    for number, test in enumerate(suite.scenarios):
        path = ("scenarios", number)
        named: list[tuple[tuple[str | int, ...], str]] = [((*path, "requester"), test.requester)]
        for index, step in enumerate(test.steps):
            named += [
                ((*path, "steps", index, name), who)
                for name, who in (("by", step.by), ("to", step.to))
                if who is not None
            ]
        for place, who in named:
            if person_id(who) not in people.people:
                yield place, f"there is no {person_id(who)!r} in {suite.people}"
