"""What administrative acts were done to, by name: `version:4f…` is a version of a process, `token:9c…` a token."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, func, select
from sqlmodel import col

from storage.queries.identity.tokens import ID_LENGTH
from storage.tables.approvals import ApiToken, DefinitionVersion
from storage.tables.canaries import WorkflowCanary
from storage.tables.drafts import BlueprintDraft
from storage.tables.notifications import WebhookEndpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetName:
    """What a target is called now, and the id of the person whose it is, if it is somebody's."""

    text: str
    person: str | None = None


def names(connection: Connection, targets: Iterable[str]) -> dict[str, TargetName]:
    """Return the names of these targets; what is gone, or is called by its id anyway, is left out."""
    ids: dict[str, list[str]] = {}
    for target in sorted(set(targets)):
        kind, _, ident = target.partition(":")
        ids.setdefault(kind, []).append(ident)
    found: dict[str, TargetName] = {}
    if wanted := ids.get("version"):
        version = select(col(DefinitionVersion.id), col(DefinitionVersion.name), col(DefinitionVersion.version))
        for ident, name, number in connection.execute(version.where(col(DefinitionVersion.id).in_(wanted))):
            found[f"version:{ident}"] = TargetName(text=f"{name} {number}")
    if wanted := ids.get("draft"):
        draft = select(col(BlueprintDraft.id), col(BlueprintDraft.process))
        for ident, process in connection.execute(draft.where(col(BlueprintDraft.id).in_(wanted))):
            found[f"draft:{ident}"] = TargetName(text=process)
    if wanted := ids.get("canary"):
        canary = select(col(WorkflowCanary.id), col(WorkflowCanary.template), col(WorkflowCanary.version))
        for ident, name, number in connection.execute(canary.where(col(WorkflowCanary.id).in_(wanted))):
            found[f"canary:{ident}"] = TargetName(text=f"{name} {number}")
    if wanted := ids.get("webhook"):
        endpoint = select(col(WebhookEndpoint.id), col(WebhookEndpoint.description), col(WebhookEndpoint.url))
        for ident, description, url in connection.execute(endpoint.where(col(WebhookEndpoint.id).in_(wanted))):
            found[f"webhook:{ident}"] = TargetName(text=description or url)
    if wanted := ids.get("token"):
        ident_of = func.substr(col(ApiToken.digest), 1, ID_LENGTH)
        token = select(ident_of.label("ident"), col(ApiToken.name), col(ApiToken.person))
        for ident, name, person in connection.execute(token.where(ident_of.in_(wanted))):
            found[f"token:{ident}"] = TargetName(text=name or "", person=person)
    return {target: one for target, one in found.items() if one.text or one.person}
