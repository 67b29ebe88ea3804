"""What BPMN has no words for: settings of a stage as properties of its task, in any vendor's extension elements.

A property `placet:undo_seconds` with the value `30` sets the stage's `undo_seconds`. A value is JSON; what is none is
text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from placet.definition.bpmn.build import Build, ImportedStage
from placet.definition.bpmn.file.reader import Part, children, tag
from placet.definition.steps import Step
from placet.definition.validation_messages import sentence_of
from placet.errors import InputInvalid
from placet.json_text import read_json, with_floats
from placet.sentences import sentence

_PREFIX = "placet:"
_LONGEST = 20_000  # characters of one value
# What the task itself says: its name, its people, and the fields that are filled in there.
SAID_BY_BPMN = frozenset({"stage_name", "approvers", "form"})


def take_properties(build: Build) -> None:
    """Set what the properties of tasks say of their stages; each that cannot be taken over is lost, and said."""
    for stage in build.stages:
        _take(build, stage)


def _take(build: Build, stage: ImportedStage) -> None:
    account, part = build.account, stage.part
    given: dict[str, Any] = {}
    for name, text in _properties(part):
        if name not in Step.model_fields:
            account.lost(
                part.id, sentence("its property {prefix}{name} is no setting of a stage", prefix=_PREFIX, name=name)
            )
        elif name in SAID_BY_BPMN:
            account.lost(
                part.id,
                sentence(
                    "its property {prefix}{name} is left out: the task says that itself", prefix=_PREFIX, name=name
                ),
            )
        elif len(text) > _LONGEST:
            account.lost(
                part.id,
                sentence(
                    "its property {prefix}{name} is longer than {longest:,} characters",
                    prefix=_PREFIX,
                    name=name,
                    longest=_LONGEST,
                ),
            )
        else:
            given[name] = _value(text)
    while given:
        faults = _faults(stage.step | given)
        named = {name: says for name, says in faults if name in given}
        # What they are wrong in together is nobody's fault alone.
        named = named or {name: says for name in given for _, says in faults[:1]}
        for name, says in named.items():
            account.lost(
                part.id,
                sentence("its property {prefix}{name} is left out: {says}", prefix=_PREFIX, name=name, says=says),
            )
            del given[name]
        if not named:
            break
    for name, value in given.items():
        if stage.step.get(name, value) != value:
            account.assumed(
                part.id,
                sentence(
                    "its property {prefix}{name} counts, and not what else the file says of that",
                    prefix=_PREFIX,
                    name=name,
                ),
            )
    stage.step |= given
    if given:
        account.mapped(part.id, sentence("an approval, with its {given}", given=", ".join(given)))


def _properties(part: Part) -> Iterator[tuple[str, str]]:
    """Yield the properties of a task that are meant for Placet, each by its name."""
    for extensions in part.element:
        for one in children(extensions, "property") if tag(extensions) == "extensionElements" else ():
            name = (one.get("name") or "").strip()
            if name.startswith(_PREFIX):
                yield name.removeprefix(_PREFIX)[:100], (one.get("value") or one.text or "").strip()


def _value(text: str) -> Any:
    try:
        return with_floats(read_json(text.encode()))
    except InputInvalid:
        return text


def _faults(step: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is wrong with a stage: the setting that is, "" for several together, and why."""
    try:
        Step.model_validate(step)
    except ValidationError as error:
        return [(str(one["loc"][0]) if one["loc"] else "", sentence_of(one)) for one in error.errors()]
    return []
