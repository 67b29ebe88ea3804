"""Files that become drafts, and drafts that become files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from placet.definition.bpmn import ElementRemark
from placet.definition.diff import export_bytes
from placet.errors import InputInvalid
from placet.json_text import with_floats
from service.context import Context
from service.definitions import read_bpmn, read_dmn
from service.drafts.draft import Draft
from service.drafts.drafts import create, save
from service.principal import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is imported: a blueprint's JSON, a BPMN file with the DMN files that it refers to, or one DMN file.

    `name` and `version` are what the process is to be called, where the file does not say; `decision` is that of a
    DMN file which has several.
    """

    blueprint: Any = None
    bpmn: str | None = None
    dmn: tuple[str, ...] = ()
    decision: str | None = None
    name: str | None = None
    version: str = "1.0.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedDraft:
    """The draft that a file became, and what became of each of its elements; nothing is left of a blueprint's JSON."""

    draft: Draft
    left: tuple[ElementRemark, ...] = ()


async def import_(
    context: Context,
    principal: Principal,
    source: Source,
    *,
    into: tuple[str, int] | None = None,
    draft_id: str | None = None,
) -> ImportedDraft:
    """Import a file as a new draft (with `draft_id`, if one is given), or `into` one: its id and the revision read.

    Raises InputInvalid and BlueprintInvalid for what cannot be read, and what `create` and `save` raise.
    """
    content, left = await _content(context, principal, source)
    if into is None:
        return ImportedDraft(draft=await create(context, principal, content=content, draft_id=draft_id), left=left)
    ident, revision = into
    saved = await save(context, principal, ident, revision=revision, content=content)
    return ImportedDraft(draft=saved.draft, left=left)


def export(draft: Draft) -> bytes:
    """Return a draft's content as canonical JSON (RFC 8785): the same bytes for the same content."""
    return export_bytes(draft.content)


async def _content(context: Context, principal: Principal, source: Source) -> tuple[Any, tuple[ElementRemark, ...]]:
    if source.blueprint is not None and source.bpmn is None and not source.dmn:
        return with_floats(source.blueprint), ()
    if source.blueprint is not None:
        raise InputInvalid.at("/blueprint", "import one file: a blueprint, BPMN or DMN")
    if source.bpmn is not None:
        read = await read_bpmn(
            context, principal, source.bpmn, dmn=[*source.dmn], name=source.name, version=source.version
        )
    elif len(source.dmn) == 1:
        read = await read_dmn(
            context, principal, source.dmn[0], decision=source.decision, name=source.name, version=source.version
        )
    else:
        raise InputInvalid.at("/blueprint", "send a blueprint, a BPMN file, or one DMN file")
    return with_floats(read.blueprint), tuple(read.left)
