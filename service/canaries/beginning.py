"""Begin a canary: a new version, published now if it is still a draft, is given a share of the new requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from insight.canary.comparison import compare
from placet.audit.admin_acts import Act, ActedBy
from placet.definition.assignees import person_id
from placet.definition.diff import Change
from placet.errors import Conflict, InputInvalid, NotFound, Problem
from placet.sentences import sentence
from service.canaries.monitoring import figure
from service.canaries.reading import CanaryFound, found
from service.canaries.terms import PEOPLE_SAMPLE, Terms, margins_of, measures_of, refuse
from service.context import Context
from service.definitions import act_of, certificate_of
from service.principal import Principal
from service.suggestions.evaluation import Evaluator
from simulation import pool_functions
from simulation.report.costs import described, parse_prices
from storage.queries import canaries, suggestions
from storage.queries.definitions import definitions
from storage.queries.slas import definitions as slas
from storage.recording import admin_acts
from storage.tables.approvals import DefinitionVersion
from storage.tables.canaries import WorkflowCanary


@dataclass(frozen=True, slots=True, kw_only=True)
class _Versions:
    """The new version and the old one; `passes_over` says that a suggestion to approve without asking made the new."""

    new: DefinitionVersion
    old: DefinitionVersion
    passes_over: bool

    @property
    def same_as(self) -> tuple[str, ...]:
        """What has to be the same when the canary is stored."""
        return self.new.id, self.new.digest, self.new.status, self.old.id


Certify = Callable[[DefinitionVersion], Awaitable[dict[str, Any]]]
"""Return the certificate with which a draft can be published, or raise what keeps it from that."""


async def begin_canary(context: Context, principal: Principal, terms: Terms, *, canary_id: str) -> CanaryFound:
    """Begin a canary; the same id again is the same canary. A draft is published with it, and is never given to all.

    Raises InputInvalid with what is wrong, BlueprintInvalid and NotPermitted as publishing does, and Conflict where the
    process has a canary that runs, or its versions have changed meanwhile.
    """

    async def certify(draft: DefinitionVersion) -> dict[str, Any]:
        return await certificate_of(context, principal, draft)

    return await begin(Evaluator.of(context), terms, canary_id=canary_id, by=principal.acted_by, certify=certify)


async def begin(
    evaluator: Evaluator, terms: Terms, *, canary_id: str, by: ActedBy, certify: Certify | None = None
) -> CanaryFound:
    """Begin a canary as `begin_canary` does; without `certify`, its version has to be published already."""
    terms.check()
    database, person = evaluator.database, by.actor.removeprefix("user:")
    there = await database.read(_there, canary_id)
    if there is not None:
        return there
    versions = await database.read(_versions, terms)
    change = await evaluator.pool.run(
        pool_functions.compare_versions, versions.old.blueprint, versions.new.blueprint, by=person
    )
    _check_input(change)
    sample = terms.people_sample
    passes_over = versions.passes_over or _stages(versions.old) - _stages(versions.new) != set()
    if sample is None:
        sample = PEOPLE_SAMPLE if passes_over else 0.0
    if passes_over and not sample:
        raise InputInvalid.at(
            "/people_sample",
            "this version approves what people decided before; leave a part of its share with people, such as 0.1",
        )
    terms.check_chance(sample)
    certificate = None
    if versions.new.status == "draft":
        if certify is None:
            raise InputInvalid.at(
                "/version",
                sentence(
                    "version {version} is a draft, and a command publishes nothing; begin the canary on its page or "
                    "over the API, which publish the draft with it",
                    version=versions.new.version,
                ),
            )
        certificate = await certify(versions.new)
    now = evaluator.clock()

    def store(connection: Connection) -> CanaryFound:
        if _versions(connection, terms).same_as != versions.same_as:
            raise Conflict("The versions of this process have changed meanwhile; look at them, and begin again.")
        if versions.new.status == "draft":
            definitions.publish(
                connection,
                versions.new.id,
                digest=versions.new.digest,
                by=person,
                now=now,
                certificate=certificate,
            )
        row = canaries.add(connection, _row(terms, versions, canary_id, sample=sample, by=person, now=now))
        result = found(connection, row)
        if versions.new.status == "draft":
            admin_acts.record(connection, by, act_of("version_published", versions.new), now)
        admin_acts.record(connection, by, _act(row), now)
        canaries.count(connection, "began")
        return result

    return await database.write(store)


def _there(connection: Connection, canary_id: str) -> CanaryFound | None:
    row = canaries.find(connection, canary_id)
    return None if row is None else found(connection, row)


def _versions(connection: Connection, terms: Terms) -> _Versions:
    """Return the two versions; raises InputInvalid where they cannot be compared."""
    try:
        published = definitions.published(connection, terms.template)
    except NotFound as error:
        raise InputInvalid.at("/template", sentence("{message}; publish it first", message=error.message)) from error
    try:
        new = definitions.find(connection, terms.template, terms.version)
    except NotFound as error:
        raise InputInvalid.at("/version", error.message) from error
    others = [header for header in published if header.id != new.id]
    if new.status == "deprecated":
        raise InputInvalid.at(
            "/version", sentence("version {version} is out of use; name another one", version=new.version)
        )
    if not others:
        raise InputInvalid.at("/version", "there is no other published version that it could be compared with")
    if definitions.precedence(new.version) < definitions.precedence(others[0].version):
        raise InputInvalid.at(
            "/version",
            sentence(
                "version {version} is older than {newest}, which is published; name a newer one",
                version=new.version,
                newest=others[0].version,
            ),
        )
    if terms.sla_id is not None:
        _check_sla(connection, terms)
    old = definitions.get(connection, others[0].id)
    passes_over = suggestions.type_of_draft(connection, new.id) == "auto_approval"
    return _Versions(new=new, old=old, passes_over=passes_over)


def _check_sla(connection: Connection, terms: Terms) -> None:
    try:
        sla = slas.get(connection, terms.sla_id or "")
    except NotFound as error:
        raise InputInvalid.at("/sla_id", error.message) from error
    if sla.template != terms.template:
        raise InputInvalid.at(
            "/sla_id", sentence("this SLA is of {process!r}; name one of this process", process=sla.template)
        )
    if sla.target_duration_seconds > terms.horizon_seconds:
        raise InputInvalid.at(
            "/horizon_seconds",
            sentence(
                "write at least the target of the SLA, {seconds} seconds", seconds=f"{sla.target_duration_seconds:g}"
            ),
        )


def _check_input(change: Change) -> None:
    """Raise InputInvalid where the new version does not take what the old one takes.

    Whoever asks by the name of the process does not know which version it will be.
    """
    broken = [one for one in change.reasons if one.level == "major" and one.pointer.startswith("/variables")]
    refuse(
        tuple(
            Problem(
                pointer="/version",
                message=sentence(
                    "it does not take every input that the old version takes ({message}), and whoever asks cannot know "
                    "which version it will be; publish it without a canary",
                    message=one.message,
                ),
            )
            for one in broken
        )
    )


def _stages(version: DefinitionVersion) -> set[str]:
    steps: list[Mapping[str, Any]] = version.blueprint.get("process_steps") or []
    return {str(step.get("stage_name")) for step in steps}


def _row(terms: Terms, versions: _Versions, canary_id: str, *, sample: float, by: str, now: datetime) -> WorkflowCanary:
    owner = versions.new.owner
    row = WorkflowCanary(
        id=canary_id,
        template=terms.template,
        owner=None if owner is None else person_id(owner),
        version=versions.new.version,
        version_id=versions.new.id,
        baseline=versions.old.version,
        baseline_id=versions.old.id,
        share=terms.share,
        people_sample=sample,
        horizon_seconds=terms.horizon_seconds,
        alpha=terms.alpha,
        sla_id=terms.sla_id,
        duration_margin_seconds=terms.margins.duration_seconds,
        outcome_margin=terms.margins.outcome,
        sla_margin=terms.margins.sla,
        cost_margin=terms.margins.cost,
        most_cost=terms.most_cost,
        prices=None if terms.prices is None else described(parse_prices(dict(terms.prices))),
        began_by=by,
        began_at=now,
        notes=terms.notes,
        figures=[],
        compared_at=now,
    )
    row.figures = [figure(one) for one in compare(measures_of(row), [], chance=0.5, alpha=terms.alpha)]
    return row


def _act(row: WorkflowCanary) -> Act:
    margins = asdict(margins_of(row))
    detail = {
        "process": row.template,
        "version": row.version,
        "baseline": row.baseline,
        "share": f"{row.share:g}",
        "people_sample": f"{row.people_sample:g}",
        "margins": {name: f"{margin:g}" for name, margin in margins.items() if margin is not None},
    }
    return Act(kind="canary_begun", target=f"canary:{row.id}", detail=detail)
