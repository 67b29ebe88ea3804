"""Revisions: the requester answers a request for changes; what that does to earlier approvals.

Under `on_change: "restart"` a change of the content voids every approval: the request goes again from its first node,
and what the process has done meanwhile is kept where it is asked for the same again. Until the request is resubmitted,
every branch is suspended. Under `"stage"` the returned stage alone opens again, and everything else goes on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from placet.audit.reasons import because
from placet.audit.sealed import Sealed, sealed
from placet.definition.json_schema.forms import check_text
from placet.definition.variables import normalise_input
from placet.engine.bound_action import BoundAction, check_action
from placet.engine.call_results import result_of
from placet.engine.content import (
    Attachment,
    FieldChange,
    Revision,
    changes_as_json,
    changes_between,
    content_digest,
    default_title,
    is_material,
)
from placet.engine.events import ActionDone, Attach, ChildEnded, Opening, OpeningFile, Resubmit
from placet.engine.flow import advance, reopen, take_action, take_child
from placet.engine.input import accept_input
from placet.engine.run import Run
from placet.engine.state import HeldResult, State
from placet.errors import InputInvalid, NotPermitted, Problem, Refused
from placet.json_pointer import pointer_to
from placet.json_values import check_json
from placet.nodes.wait import wait_spec_of
from placet.sentences import sentence
from placet.tasks.deadlines import later, move_on
from placet.tasks.permissions import require_running

MOST_ATTACHMENTS = 100
_LONGEST_NAME = 200
_LARGEST = 2**40
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,60}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def resubmit(run: Run, event: Resubmit) -> None:
    """Answer a request for changes: begin the next round and, where the content changed, the next revision."""
    require_running(run)
    if event.by.person != run.state.requester:
        raise NotPermitted("Only the requester can resubmit the request.")
    returned = [s.node for s in run.stages.values() if s.returned_at is not None]
    if not returned:
        raise Refused("Nobody has asked for changes; there is nothing to resubmit.")
    comment = check_text(event.comment, "/comment")
    before = run.state
    given = before.given
    if event.input is not None:
        check_json(event.input, "/input")
        given = _given(run, event.input)
    title, titled = before.title, before.titled
    if event.title is not None:
        title, titled = check_text(event.title, "/title", optional=False) or "", True
    changes = changes_between(before.given, given)
    attached = _attached_since_returned(run)
    if title != before.title:
        changes = (FieldChange(field="title", before=before.title, after=title), *changes)
    action = _action(run, event)
    rebound = action != before.action
    if rebound:
        changes = (*changes, FieldChange(field="action", before=_document(before.action), after=_document(action)))
    # An approval is for exactly one action, whatever the process says of other changes.
    restart = rebound or (run.plan.on_change == "restart" and (attached or is_material(changes, run.plan.immaterial)))
    if restart and event.input is not None:
        given = accept_input(run.plan, given)
    kept = {} if restart else {name: before.input[name] for name in before.written if name in before.input}
    after = normalise_input(run.plan.variables, {**given, **{n: None for n in before.written if not restart}, **kept})
    if not titled:
        title = default_title(run.plan, given)
    run.set(round=before.round + 1, input=after, given=given, title=title, titled=titled, action=action)
    if changes:
        _revise(run, changes, restart=restart)
    elif restart:  # the files have made revisions of their own
        run.set(material=run.state.revision)
    _record(run, event, comment=comment, before=before, changes=changes_as_json(changes), restart=restart)
    if restart:
        _restart(run)
    else:
        _go_on(run, returned)


def action_facts(action: BoundAction | None) -> dict[str, Any]:
    """Return the action and its digest, as the entries hold them that ask for it."""
    if action is None:
        return {}
    return {"action": Sealed(action.document), "action_digest": Sealed(action.digest)}


def _action(run: Run, event: Resubmit) -> BoundAction | None:
    """Return the action that is asked for now: the one that was, unless the requester gives another."""
    if event.action is None:
        return run.state.action
    if run.state.action is None:
        raise InputInvalid.at("/action", "the request began without an action, and gets none; start another one")
    check_action(event.action, "/action", now=run.now)
    return event.action


def _document(action: BoundAction | None) -> dict[str, Any] | None:
    return action.document if action is not None else None


def attach(run: Run, event: Attach) -> None:
    """Add a file: before anybody has decided, or while the request is returned. It makes a revision of its own."""
    require_running(run)
    state = run.state
    if event.by.person != state.requester:
        raise NotPermitted("Only the requester can attach files to the request.")
    returned = any(stage.returned_at is not None for stage in run.stages.values())
    decided = bool(run.votes) or any(task.decision is not None for task in run.tasks.values())
    if decided and not returned:
        raise Refused("Somebody has decided already; files can be attached before that, or while it is returned.")
    if len(state.attachments) >= MOST_ATTACHMENTS:
        raise Refused(
            sentence("The request has {most_attachments} files, which is the limit.", most_attachments=MOST_ATTACHMENTS)
        )
    check_file(event, "")
    added = Attachment(
        n=len(state.attachments) + 1,
        name=event.name,
        media_type=event.media_type,
        size=event.size,
        sha256=event.sha256,
        uploaded_by=event.by.person,
        uploaded_at=run.now,
        revision=state.revision + 1,
    )
    before = [one.name for one in state.attachments]
    change = FieldChange(field="attachments", before=before or None, after=[*before, added.name])
    run.set(attachments=(*state.attachments, added))
    _revise(run, (change,), restart=False)
    _record_attached(run, added, actor=event.by.name, changes=[change])


def check_opening_files(opening: Opening) -> None:
    """Raise InputInvalid where a request is to begin with files that cannot be."""
    if len(opening.files) > MOST_ATTACHMENTS:
        raise InputInvalid.at(
            "/files",
            sentence(
                "a request has at most {most_attachments} files; leave some out", most_attachments=MOST_ATTACHMENTS
            ),
        )
    for index, file in enumerate(opening.files):
        check_file(file, pointer_to("/files", str(index)))


def opening_attachments(opening: Opening, now: datetime) -> tuple[Attachment, ...]:
    """Return the files that a request begins with, as it holds them: in its first revision."""
    by = opening.started_by or opening.requester
    return tuple(
        Attachment(
            n=n,
            name=file.name,
            media_type=file.media_type,
            size=file.size,
            sha256=file.sha256,
            uploaded_by=by,
            uploaded_at=now,
            revision=1,
        )
        for n, file in enumerate(opening.files, start=1)
    )


def record_opening_files(run: Run, opening: Opening) -> None:
    """Record the files that a request begins with. They change nothing: its first digest is of them as well."""
    if not opening.files:
        return
    run.set(attachments=opening_attachments(opening, run.now))
    for one in run.state.attachments:
        _record_attached(run, one, actor=f"user:{one.uploaded_by}", changes=[])


def _record_attached(run: Run, added: Attachment, *, actor: str, changes: list[FieldChange]) -> None:
    run.record(
        "attached",
        actor=actor,
        n=added.n,
        name=Sealed(added.name),
        media_type=added.media_type,
        size=added.size,
        sha256=Sealed(added.sha256),
        changes=sealed(changes_as_json(changes) or None),
        **run.state.revision_facts,
    )


def check_file(file: Attach | OpeningFile, at: str) -> None:
    """Raise InputInvalid where a file cannot be as it is said to be; `at` is the JSON Pointer of what says so."""
    name = check_text(file.name, f"{at}/name", optional=False) or ""
    if len(name) > _LONGEST_NAME or any(char in name for char in "/\\") or not name.isprintable():
        raise InputInvalid.at(
            f"{at}/name",
            sentence(
                "give a file name of at most {longest_name} characters, without / and \\", longest_name=_LONGEST_NAME
            ),
        )
    if not _MEDIA_TYPE.fullmatch(file.media_type):
        raise InputInvalid.at(f"{at}/media_type", "give a media type such as application/pdf")
    if not _SHA256.fullmatch(file.sha256):
        raise InputInvalid.at(f"{at}/sha256", "give the SHA-256 of the file in hex")
    if not 0 <= file.size <= _LARGEST:
        raise InputInvalid.at(f"{at}/size", "give the size of the file in bytes")


def _attached_since_returned(run: Run) -> bool:
    """Say whether files were attached since the request was returned."""
    since = [stage.returned_at for stage in run.stages.values() if stage.returned_at is not None]
    return bool(since) and any(one.uploaded_at >= min(since) for one in run.state.attachments)


def _given(run: Run, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the input that the requester gives now.

    Variables that the process has set are not the requester's to change. A client may send them back unchanged, so a
    value equal to the current one is ignored. Where the request goes again from its first node, the requester may again
    give a variable that they gave at first.
    """
    state, variables = run.state, run.plan.variables
    first = state.given
    theirs = dict(asked)
    written = [name for name in state.written if asked.get(name) is not None]
    if written:
        seen = normalise_input(variables, {**asked, **{n: first.get(n) for n in state.written if n not in asked}})
        problems: list[Problem] = []
        for name in written:
            again = run.plan.on_change == "restart" and name in first
            if seen.get(name) == state.input.get(name):
                theirs.pop(name)
            elif not again:
                message = "the process has set this; leave it out"
                problems.append(Problem(pointer=pointer_to("/input", name), message=message))
        if problems:
            raise InputInvalid(problems[0].message, problems=tuple(problems))
    for name in state.written:
        if theirs.get(name) is None and name in first:
            theirs[name] = first[name]
    return normalise_input(variables, theirs)


def _revise(run: Run, changes: tuple[FieldChange, ...], *, restart: bool) -> None:
    state = run.state
    revision = state.revision + 1
    run.set(
        revision=revision,
        material=revision if restart else state.material,
        content_digest=content_digest(run.plan, state.title, state.given, state.attachments, state.action),
        revised=(*state.revised, Revision(revision=revision, changes=changes)),
    )
    for task in run.open_tasks():  # they are decided on the request as it is now
        run.change(task, revision=revision, content_digest=run.state.content_digest)


def _record(
    run: Run,
    event: Resubmit,
    *,
    comment: str | None,
    before: State,
    changes: list[dict[str, Any]],
    restart: bool,
) -> None:
    state = run.state
    was, now = ({name: Sealed(getattr(s, name)) for name in _differing(before, state)} for s in (before, state))
    more: dict[str, Any] = {}
    if run.rules.records_revisions:
        more = {**state.revision_facts, "changes": sealed(changes or None), "restarts": restart}
    if state.action != before.action:
        more |= action_facts(state.action)
    run.record(
        "resubmitted",
        actor=event.by.name,
        why=sealed(comment),
        before=was or None,
        after=now or None,
        round=state.round,
        **more,
    )


def _differing(before: State, after: State) -> list[str]:
    return [name for name in ("input", "title") if getattr(before, name) != getattr(after, name)]


def _go_on(run: Run, returned: list[str]) -> None:
    """Open the returned stages again, and resume the branches that were suspended."""
    since, held = run.state.returned_at, run.state.held
    run.set(returned_at=None, held=())
    if since is not None:
        for task in run.unsettled_tasks():
            moved = move_on(run, task, since)
            if moved.due_at != task.due_at and task.status == "open":
                run.record(
                    "extended",
                    task=moved,
                    why=because("stood_still"),
                    before={"due_at": task.due_at},
                    after={"due_at": moved.due_at},
                )
        for name, wait in list(run.waits.items()):
            if wait.until is not None and wait_spec_of(run.node(name)).until is None:
                run.waits[name] = replace(wait, until=later(run, wait.until, since))
    for node in returned:
        if node in run.stages:  # going on from one may end the branch of another
            reopen(run, node)
    for result in held:
        if run.state.status == "pending":
            _take(run, result)


def _take(run: Run, result: HeldResult) -> None:
    if result.outcome is None:
        take_action(
            run,
            ActionDone(
                node=result.node,
                visit=result.visit,
                key=result.key,
                ok=result.ok,
                output=result.output,
                error=result.error,
            ),
        )
    else:
        take_child(
            run,
            ChildEnded(node=result.node, visit=result.visit, outcome=result.outcome, output=result.output),
        )


def _restart(run: Run) -> None:
    """Void the approvals, end everything that is going on, and go again from the first node."""
    why = because("request_changed")
    for task in run.unsettled_tasks():
        run.close(task, why=why, result="restarted")
    for held in run.state.held:
        calls: dict[str, Any] = run.actions if held.outcome is None else run.children
        run.keep_result(partial(result_of, run, held, calls.pop(held.node), counts_for=0))
    run.strays += run.actions.values()
    run.end_part(lambda _: True, why)
    run.set(returned_at=None, held=(), written=())
    advance(run, run.plan.start)
