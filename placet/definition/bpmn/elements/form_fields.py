"""What people fill in: the form fields of Camunda, Flowable and jBPM, as variables and as the schema of a form."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from xml.etree.ElementTree import Element

from placet.definition.bpmn.file.reader import attribute, children, tag, texts

_MOST = 100
_TYPES = {
    "string": "string", "text": "string", "enum": "string", "textfield": "string", "textarea": "string",
    "select": "string", "radio": "string", "long": "integer", "integer": "integer", "int": "integer",
    "short": "integer", "double": "decimal", "float": "decimal", "number": "decimal", "decimal": "decimal",
    "bigdecimal": "decimal", "currency": "decimal", "biginteger": "integer", "boolean": "boolean",
    "bool": "boolean", "checkbox": "boolean", "date": "date", "localdate": "date", "datetime": "date",
    "user": "string", "character": "string",
}  # fmt: skip
_SHAPES: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "decimal": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
}
_GIVEN = {  # what jBPM gives a task besides what it is about
    "TaskName", "NodeName", "ActorId", "GroupId", "Skippable", "Priority", "Comment", "Description", "Content",
    "Locale", "CreatedBy", "NotStartedReassign", "NotCompletedReassign", "NotStartedNotify", "NotCompletedNotify",
    "ExcludedOwnerId", "BusinessAdministratorId", "BusinessAdministratorGroupId", "TaskStakeholderId", "RecipientId",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field that somebody fills in: `name` is the variable's, `type` the blueprint's, "" where it is not known.

    `shape` is what is known of it from elsewhere, as a variable declares it.
    """

    name: str
    type: str = "string"
    title: str = ""
    required: bool = False
    enum: tuple[str, ...] = ()
    shape: Mapping[str, Any] | None = None

    @property
    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of its value."""
        schema = _schema_of(self.shape or {"type": self.type})
        if self.enum:
            schema["enum"] = list(self.enum)
        if self.title:
            schema["title"] = self.title
        return schema


def fields_of(element: Element, types: Mapping[str, str], forms: Mapping[str, str]) -> list[Field]:
    """Return what is filled in at a start event or a task: what is only shown does not count.

    `types` are the types of the file's items by id, `forms` the texts of its embedded forms by id.
    """
    found = [*_camunda(element), *_flowable(element), *_embedded(element, forms), *_outputs(element, types)]
    return list({field.name: field for field in reversed(found[:_MOST])}.values())[::-1]


def form_of(element: Element) -> str | None:
    """Return the name of a form that is kept elsewhere, if any."""
    found = attribute(element, "formKey", "formRef")
    for inner in children(element, "formDefinition"):
        found = found or attribute(inner, "formKey", "formId", "externalReference")
    return found


def item_types(root: Element) -> dict[str, str]:
    """Return the blueprint's types of a file's items: `java.lang.Integer` is an integer."""
    return {
        item.get("id", ""): _TYPES.get((item.get("structureRef") or "").rpartition(".")[2].lower(), "")
        for item in root
        if tag(item) == "itemDefinition"
    }


def embedded_forms(root: Element) -> dict[str, str]:
    """Return the JSON of the forms that a Camunda 8 process carries, by id."""
    return {form.get("id", ""): (form.text or "")[:100_000] for form in children(root, "userTaskForm")}


def form_schema(fields: Iterable[Field], required: Iterable[str]) -> dict[str, Any]:
    """Return the JSON Schema of a decision's form."""
    shown = list(fields)
    wanted = set(required)
    needed = [field.name for field in shown if field.required or field.name in wanted]
    schema: dict[str, Any] = {"type": "object", "properties": {field.name: field.schema for field in shown}}
    return schema | ({"required": needed} if needed else {})


def _schema_of(shape: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of a variable's shape."""
    if shape["type"] == "list":
        return {"type": "array", "items": _schema_of(shape["items"])}
    if shape["type"] == "object":
        members = shape["properties"]
        needed = [name for name, member in members.items() if member.get("required")]
        inner = {name: _schema_of(member) for name, member in members.items()}
        return {"type": "object", "properties": inner} | ({"required": needed} if needed else {})
    return dict(_SHAPES.get(shape["type"], {}))


def _camunda(element: Element) -> list[Field]:
    found = []
    for given in children(element, "formField"):
        rules = {rule.get("name", "") for rule in children(given, "constraint")}
        if given.get("id") and "readonly" not in rules:
            found.append(_field(given.get("id", ""), given.get("type"), given.get("label"), "required" in rules, given))
    return found


def _flowable(element: Element) -> list[Field]:
    return [
        _field(given.get("id", ""), given.get("type"), given.get("name"), given.get("required") == "true", given)
        for given in children(element, "formProperty")
        if given.get("id") and given.get("writable") != "false"
    ]


def _field(name: str, kind: str | None, title: str | None, required: bool, given: Element | None = None) -> Field:
    values = tuple(
        dict.fromkeys(value.get("id") or value.get("name") or "" for value in children(given, "value"))
        if given is not None
        else ()
    )
    return Field(
        name=name[:64],
        type=_TYPES.get((kind or "string").lower(), "string"),
        title=" ".join((title or "").split())[:200],
        required=required,
        enum=tuple(value for value in values if value)[:_MOST],
    )


def _embedded(element: Element, forms: Mapping[str, str]) -> list[Field]:
    key = form_of(element) or ""
    text = forms.get(key.rpartition(":")[2])
    if text is None:
        return []
    try:
        form = json.loads(text)
    except (ValueError, RecursionError):
        return []
    listed = form.get("components") if isinstance(form, dict) else None
    found = []
    for one in listed[:_MOST] if isinstance(listed, list) else ():
        if not isinstance(one, dict) or not isinstance(one.get("key"), str):
            continue
        if one.get("disabled") or one.get("readonly"):
            continue
        rules = one.get("validate")
        required = isinstance(rules, dict) and rules.get("required") is True
        values = one.get("values")
        listed_values = values if isinstance(values, list) else []
        enum = [str(v["value"]) for v in listed_values if isinstance(v, dict) and isinstance(v.get("value"), str)]
        kind, title = str(one.get("type", "")), str(one.get("label") or "")
        if kind.lower() in _TYPES:
            found.append(replace(_field(one["key"], kind, title, required), enum=tuple(enum[:_MOST])))
    return found


def _outputs(element: Element, types: Mapping[str, str]) -> list[Field]:
    """Return what a task of jBPM gives back, by the process's variables that take it."""
    given = {
        one.get("id", ""): types.get(one.get("itemSubjectRef", ""), "string") or _TYPES.get(_java(one), "")
        for one in element.iter()
        if tag(one) == "dataOutput" and one.get("name") not in _GIVEN
    }
    found = []
    for link in element.iter():
        if tag(link) == "dataOutputAssociation":
            source = next(iter(texts(link, "sourceRef")), "")
            target = next(iter(texts(link, "targetRef")), "")
            if source in given and target:
                found.append(Field(name=target[:64], type=given[source]))
    return found


def _java(element: Element) -> str:
    return (attribute(element, "dtype", "type") or "").rpartition(".")[2].lower()
