"""A past for tests: requests that went through a process in virtual time, stored as the workflow would have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from placet.definition.model import parse_definition
from placet.engine.recording import recording_of
from placet.plan.compiler import compile_plan
from simulation.run.driver import directory_reader, drive, opening_for
from simulation.scenario.approver_model import ApproverModel
from simulation.scenario.script import parse_script
from simulation.world.scripted_people import ScriptedPeople
from storage.database import Database
from storage.queries.definitions import definitions
from storage.queries.people import people
from storage.recording import record

Script = list[dict[str, Any]]


async def store_past(
    database: Database,
    template: str,
    given: list[Mapping[str, Any]],
    *,
    start: datetime,
    every: timedelta = timedelta(hours=3),
    script: Callable[[int], Script] = lambda _: [],
    requester: str = "ann",
    prefix: str = "past",
) -> list[str]:
    """Store a request for each of these inputs, the n-th with the script of n; who is not in it approves after 2 h."""

    def store(connection: Connection) -> list[str]:
        version = definitions.find(connection, template)
        directory = people.everyone(connection)
        plan = compile_plan(parse_definition(version.blueprint), start=start)
        read = directory_reader(plan, directory)
        recordings, ids = [], []
        for number, values in enumerate(given):
            request_id = f"{prefix}-{number}-{template}"
            opening = opening_for(
                plan,
                directory,
                requester=requester,
                given=values,
                start=start + number * every,
                request_id=request_id,
                read_directory=read,
            )
            source = ScriptedPeople(
                plan=plan,
                lines=parse_script(script(number)),
                approver_model=ApproverModel(after=timedelta(hours=2, minutes=number % 50)),
            )
            trace = drive(plan, opening, source, read_directory=read, horizon=timedelta(days=60))
            made = recording_of(plan, version.id, trace.state, trace.entries, (), stored={})
            recordings.append(made)
            ids.append(request_id)
        for conflict in record.write_all(connection, recordings, start):
            assert conflict is None, conflict
        return ids

    return await database.write(store)
