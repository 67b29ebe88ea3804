"""BPMN and DMN files: what is sent to import one, and what is shown of what became of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool

from api.schemas.common import Body, View
from api.schemas.templates import TemplateView

Text = Annotated[str, Field(min_length=1)]


class BpmnBody(Body):
    """A BPMN 2.0 file as text, and the DMN files that its rule tasks name. `dry_run` stores nothing."""

    bpmn: Text
    dmn: Annotated[list[Text], Field(max_length=20)] = Field(default_factory=list)
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    version: Annotated[str, Field(max_length=100)] = "1.0.0"
    dry_run: StrictBool = False


class DmnBody(Body):
    """A DMN file as text; `decision` is the id or name of the one that is meant, where there are more."""

    dmn: Text
    decision: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    version: Annotated[str, Field(max_length=100)] = "1.0.0"
    dry_run: StrictBool = False


class LeftView(View):
    """What became of one element of the file.

    `mapped` is in the blueprint as it is, `assumed` with something that the file did not say, `lost` is not in it, or
    not wholly. `message` is the same as `says`.
    """

    kind: Literal["mapped", "assumed", "lost"]
    element: str
    id: str
    name: str
    says: str
    message: str


class ImportView(View):
    """The blueprint that a file became, the draft it is stored as (null for a dry run), and each element's fate."""

    template: TemplateView | None
    blueprint: dict[str, Any]
    left: list[LeftView]
