"""The models of drafts of blueprints."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from api.schemas.bpmn import LeftView, Text
from api.schemas.common import Body, Shown, View, shown
from api.schemas.templates import DifferenceView, FindingView, TemplateView
from placet.definition.diff import Level
from service.drafts.analysis import Analysis
from service.drafts.draft import Draft, Saved, Status
from service.drafts.merge import FieldChange
from storage.tables.drafts import BlueprintDraftRevision

Name = Annotated[str, Field(min_length=1, max_length=200)]
Revision = Annotated[int, Field(ge=1, le=2**31 - 1, description="The revision that was read.")]


class BasedOnBody(Body):
    """A version of a process; without `version`, the newest published one."""

    process: Name
    version: Annotated[str, Field(max_length=100)] | None = None


class DraftBody(Body):
    """What a draft begins with: the blueprint of a version, or a JSON object, which may be invalid as a blueprint."""

    based_on: BasedOnBody | None = None
    content: Any = None


class SaveBody(Body):
    """A content, or a JSON Patch (RFC 6902) on what the draft held in `revision`."""

    revision: Revision
    content: Any = None
    patch: Any = None


class SeenBody(Body):
    """The revision that the caller has seen: where there is a newer one, nothing happens. Without, the newest."""

    revision: Revision | None = None


class DraftImportBody(Body):
    """A file: `blueprint` (JSON), `bpmn` with the `dmn` files that it refers to, or one of `dmn`.

    It becomes a new draft, or with `draft_id` and `revision` the next content of one.
    """

    blueprint: Any = None
    bpmn: Text | None = None
    dmn: Annotated[list[Text], Field(max_length=20)] = Field(default_factory=list)
    decision: Name | None = None
    name: Name | None = None
    version: Annotated[str, Field(max_length=100)] = "1.0.0"
    draft_id: Name | None = None
    revision: Revision | None = None


class DraftView(View):
    """A draft without its content. `template_id` is the version as which it was submitted."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    process: str
    version: str | None
    based_on: str | None
    revision: int
    status: Status
    authors: list[str | None]
    created_by: str
    created_at: Shown
    updated_by: str
    updated_at: Shown
    submitted_by: str | None
    submitted_at: Shown | None
    template_id: str | None

    @classmethod
    def of(cls, draft: Draft) -> DraftView:
        """Show a draft."""
        return DraftView.model_construct(**_facts(draft))


class DraftWhole(DraftView):
    """A draft with its content."""

    content: dict[str, Any]

    @classmethod
    def of(cls, draft: Draft) -> DraftWhole:
        """Show a draft with its content."""
        return DraftWhole.model_construct(**_facts(draft), content=draft.content)


class FieldChangeView(View):
    """One place that differs, with its values on both sides."""

    pointer: str
    kind: Literal["added", "removed", "changed", "reordered"]
    before: Any
    after: Any

    @classmethod
    def of(cls, change: FieldChange) -> FieldChangeView:
        """Show a change."""
        return cls.model_construct(pointer=change.pointer, kind=change.kind, before=change.before, after=change.after)


class SavedView(DraftWhole):
    """A draft as it was saved. `merged` is what others had changed since it was read, and is in it as well."""

    merged: list[FieldChangeView]
    merged_by: str | None

    @classmethod
    def of_saved(cls, saved: Saved) -> SavedView:
        """Show a draft that was saved."""
        return cls.model_construct(
            **_facts(saved.draft),
            content=saved.draft.content,
            merged=[FieldChangeView.of(change) for change in saved.merged],
            merged_by=shown(saved.merged_by),
        )


class DraftImportView(View):
    """The draft that a file became, and what became of each element of the file."""

    draft: DraftWhole
    left: list[LeftView]


class PublishedView(View):
    """A draft that was published, and the version that it became."""

    draft: DraftView
    template: TemplateView


class ObstacleView(View):
    """Something that keeps a draft from being published, with its place in the content."""

    pointer: str
    message: str


class AnalysisView(View):
    """The findings about a draft, its difference to the release before it, and whether it could be published.

    `against` is that release; null where nothing was published. `needs_two`: it is submitted, and somebody who has
    saved none of it publishes it.
    """

    revision: int
    ok: bool
    findings: list[FindingView]
    against: str | None
    change: Level | None
    least_version: str | None
    differences: list[DifferenceView]
    fields: list[FieldChangeView]
    publishable: bool
    obstacles: list[ObstacleView]
    needs_two: bool

    @classmethod
    def of(cls, found: Analysis) -> AnalysisView:
        """Show an analysis."""
        reasons = () if found.change is None else found.change.reasons
        return cls(
            revision=found.revision,
            ok=found.ok,
            findings=[FindingView.model_validate(finding.described()) for finding in found.findings],
            against=found.before,
            change=None if found.change is None else found.change.level,
            least_version=found.least_version,
            differences=[
                DifferenceView.model_construct(change=r.level, pointer=r.pointer, message=r.message) for r in reasons
            ],
            fields=[FieldChangeView.of(change) for change in found.fields],
            publishable=found.publishable,
            obstacles=[ObstacleView(pointer=one.pointer, message=one.message) for one in found.obstacles],
            needs_two=found.needs_two,
        )


class ActView(View):
    """Something that was done to a draft; `revision` is the one that it had then."""

    act: str
    revision: int
    by: str
    at: Shown

    @classmethod
    def of(cls, row: BlueprintDraftRevision) -> ActView:
        """Show an act."""
        return cls.model_construct(act=row.act, revision=row.revision, by=f"user:{row.by}", at=row.at)


def _facts(draft: Draft) -> dict[str, Any]:
    return {
        "id": draft.id,
        "name": draft.name,
        "process": draft.process,
        "version": draft.version,
        "based_on": draft.based_on,
        "revision": draft.revision,
        "status": draft.status,
        "authors": [shown(person) for person in draft.authors],
        "created_by": shown(draft.created_by),
        "created_at": draft.created_at,
        "updated_by": shown(draft.updated_by),
        "updated_at": draft.updated_at,
        "submitted_by": shown(draft.submitted_by),
        "submitted_at": draft.submitted_at,
        "template_id": draft.template_id,
    }
