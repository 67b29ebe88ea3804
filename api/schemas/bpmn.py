"""The models of BPMN and DMN imports."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool

from api.schemas.common import Body, View
from api.schemas.templates import TemplateView

Text = Annotated[str, Field(min_length=1)]


class BpmnBody(Body):
    """A BPMN 2.0 file as text, and the DMN files that its business rule tasks refer to. `dry_run` stores nothing."""

    bpmn: Text
    dmn: Annotated[list[Text], Field(max_length=20)] = Field(default_factory=list)
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    version: Annotated[str, Field(max_length=100)] = "1.0.0"
    dry_run: StrictBool = False


class DmnBody(Body):
    """A DMN file as text. `decision` is the id or name of the decision, if the file has several."""

    dmn: Text
    decision: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    version: Annotated[str, Field(max_length=100)] = "1.0.0"
    dry_run: StrictBool = False


class LeftView(View):
    """How one element of the file was mapped.

    `mapped`: the blueprint has it unchanged. `assumed`: the blueprint has it, with a value that the file did not give.
    `lost`: the blueprint does not have it, or only part of it. `message` is the same as `says`.
    """

    kind: Literal["mapped", "assumed", "lost"]
    element: str
    id: str
    name: str
    says: str
    message: str


class ImportView(View):
    """The blueprint of a file, its stored draft (null for a dry run), and how each element was mapped."""

    template: TemplateView | None
    blueprint: dict[str, Any]
    left: list[LeftView]
