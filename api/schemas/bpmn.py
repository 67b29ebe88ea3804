"""BPMN files: what is sent to import one, and what is shown of what became of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool

from api.schemas.common import Body, View
from api.schemas.templates import TemplateView


class BpmnBody(Body):
    """A BPMN 2.0 file as text. `dry_run` shows what would become of it and stores nothing."""

    bpmn: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    version: Annotated[str, Field(max_length=100)] = "1.0.0"
    dry_run: StrictBool = False


class LeftView(View):
    """What did not map: `lost` is not in the blueprint, `assumed` is there with something that the file did not say."""

    kind: Literal["lost", "assumed"]
    element: str
    id: str
    name: str
    message: str


class BpmnView(View):
    """The blueprint that a file became, the draft it is stored as (null for a dry run), and what did not map."""

    template: TemplateView | None
    blueprint: dict[str, Any]
    left: list[LeftView]
