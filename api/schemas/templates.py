"""The models of process templates: versions of blueprints."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict

from api.schemas.common import Shown, View, shown
from placet.definition.diff import Change, Level, least_version
from storage.tables.approvals import DefinitionVersion


class TemplateView(View):
    """One version of a blueprint."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    version: str
    status: Literal["draft", "published", "deprecated"]
    template_type: str
    owner: str | None
    digest: str
    created_by: str
    created_at: Shown
    published_by: str | None
    published_at: Shown | None

    @classmethod
    def of(cls, row: DefinitionVersion) -> TemplateView:
        """Show a stored version."""
        return TemplateView.model_construct(**_facts(row))


class TemplateWhole(TemplateView):
    """One version of a blueprint, with its JSON, and with the certificate of the proofs at its publication."""

    blueprint: dict[str, Any]
    certificate: dict[str, Any] | None

    @classmethod
    def of(cls, row: DefinitionVersion) -> TemplateWhole:
        """Show a stored version with its blueprint and certificate."""
        return TemplateWhole.model_construct(**_facts(row), blueprint=row.blueprint, certificate=row.certificate)


class FindingView(View):
    """One fault of a blueprint. `witness` is an input that shows it, if there is one."""

    model_config = ConfigDict(frozen=True, extra="allow")

    code: str
    severity: Literal["error", "warning"]
    pointer: str
    message: str
    witness: Any = None


class CheckView(View):
    """The findings of a check. `ok` is true if none is an error."""

    model_config = ConfigDict(frozen=True, extra="allow")

    ok: bool
    findings: list[FindingView]


class VersionRef(View):
    """One of the two versions of a comparison."""

    id: str
    version: str
    status: str


class DifferenceView(View):
    """One difference: its level, its place, and a description."""

    change: Level
    pointer: str
    message: str


class DiffView(View):
    """The changes of a version since another one; `patch` (RFC 6902) turns the other's blueprint into this one's."""

    against: VersionRef
    template: VersionRef
    change: Level
    least_version: str
    differences: list[DifferenceView]
    patch: list[dict[str, Any]]

    @classmethod
    def of(cls, before: DefinitionVersion, row: DefinitionVersion, change: Change) -> DiffView:
        """Show a comparison."""
        first, second = (
            VersionRef.model_construct(id=one.id, version=one.version, status=one.status) for one in (before, row)
        )
        return cls(
            against=first,
            template=second,
            change=change.level,
            least_version=least_version(before.version, change.level),
            differences=[
                DifferenceView.model_construct(change=r.level, pointer=r.pointer, message=r.message)
                for r in change.reasons
            ],
            patch=list(change.patch),
        )


def _facts(row: DefinitionVersion) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "version": row.version,
        "status": row.status,
        "template_type": row.template_type,
        "owner": row.owner,
        "digest": row.digest,
        "created_by": shown(row.created_by),
        "created_at": row.created_at,
        "published_by": shown(row.published_by),
        "published_at": row.published_at,
    }
