"""The engine as a process: what survives a crash, and that nothing is left behind."""

import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError

from engine_host.config import CLI_FILE, SERVER_FILE, Ports, Postgres, free_ports
from engine_host.locate import CommandLine, Startable, locate_startable
from engine_host.namespaces import missing_attributes, prepare
from engine_host.serve import Engine, running_at, start_engine
from engine_host.versions import ROOT
from placet.errors import Conflict, EngineMissing, InputInvalid, Unavailable
from tests.engine import SharedEngine, shared_engine
from tests.postgresql import Server
from tests.waiting import PATIENCE, until
from worker.connect import EngineSettings, connect
from workflows import search_attributes

PARENT = """
import asyncio, pathlib, sys
from engine_host.serve import start_engine
async def main():
    engine = await start_engine(pathlib.Path(sys.argv[1]))
    print(*engine.pids, flush=True)
    await engine.ended()
asyncio.run(main())
"""


async def gone(*pids: int) -> None:
    """Wait until none of these processes runs."""

    async def ended() -> bool:
        return not any(alive(pid) for pid in pids)

    await until(ended, what=f"the end of {pids}")


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and is only not collected yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def python(code: str, folder: Path) -> tuple[subprocess.Popen[str], str]:
    """Start a Python process and return it with the first line that it prints."""
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    with process.stdout:
        return process, process.stdout.readline()


async def settled(engine: Engine) -> EngineSettings:
    settings = EngineSettings(address=engine.address)
    await prepare(settings, embedded=True)
    return settings


async def test_data_and_address_survive_a_crash(tmp_path: Path, startable: Startable) -> None:
    crashed = await start_engine(tmp_path, startable=startable)
    client = await connect(await settled(crashed))
    mark = TypedSearchAttributes([SearchAttributePair(search_attributes.ASSIGNEES, ["ann", "bob"])])
    await client.start_workflow("Nobody", id="kept", task_queue="nobody", search_attributes=mark)
    await crashed.kill()
    assert not any(alive(pid) for pid in crashed.pids)
    async with await start_engine(tmp_path, startable=startable) as engine:
        assert (engine.address, engine.ui_url) == (crashed.address, crashed.ui_url)
        assert not await prepare(EngineSettings(address=engine.address), embedded=True)
        again = await connect(EngineSettings(address=engine.address))
        found = await again.get_workflow_handle("kept").describe()
        assert found.typed_search_attributes[search_attributes.ASSIGNEES] == ["ann", "bob"]

        async def listed() -> list[str]:  # the list is written a moment after the workflow, by a task of its own
            return [each.id async for each in again.list_workflows("PlacetAssignees = 'bob'")]

        assert await until(listed, what="the list") == ["kept"]
        # the Web UI shows this engine
        async with httpx.AsyncClient(base_url=str(engine.ui_url), timeout=PATIENCE, trust_env=False) as web:
            assert "<!doctype html>" in (await web.get("/")).text.lower()
            shown = (await web.get("/api/v1/namespaces/default/workflows")).json()
        assert [each["execution"]["workflowId"] for each in shown["executions"]] == ["kept"]
    assert not any(alive(pid) for pid in engine.pids)


async def test_a_crashed_engine_comes_back_at_once_on_other_ports(tmp_path: Path, startable: Startable) -> None:
    crashed = await start_engine(tmp_path, startable=startable, ui=False)
    client = await connect(await settled(crashed))
    names = [f"kept-{number}" for number in range(12)]  # enough to meet every shard
    for name in names:
        await client.start_workflow("Nobody", id=name, task_queue="nobody")
    await crashed.kill()
    dead = members(tmp_path)
    (tmp_path / "engine.json").unlink()
    with socket.create_server(("127.0.0.1", crashed.ports.frontend)):
        async with await start_engine(tmp_path, startable=startable, ui=False) as engine:
            assert engine.address != crashed.address
            again = await connect(EngineSettings(address=engine.address))
            for name in names:
                assert (await again.get_workflow_handle(name).describe()).id == name
            # one that still looks for the dead needs 10 s and more to serve, or to stop
            assert dead
            assert not members(tmp_path) & dead


def members(home: Path) -> set[bytes]:
    """Return the ids of the servers that the table of the cluster's members holds."""
    (store,) = (file for file in (home / SERVER_FILE, home / CLI_FILE) if file.exists())
    with closing(sqlite3.connect(store, timeout=PATIENCE)) as connection:
        return {ident for (ident,) in connection.execute("SELECT host_id FROM cluster_membership")}


async def test_an_engine_on_postgresql_finds_its_data_again(tmp_path: Path, postgresql: Server) -> None:
    binaries = await asyncio.to_thread(locate_startable, kind="server")
    postgresql.run("CREATE ROLE engineer SUPERUSER LOGIN")
    secret = quote('p@ss"word')
    url = f"postgresql://engineer:{secret}@127.0.0.1:{postgresql.port}/engine"
    crashed = await start_engine(tmp_path / "a", startable=binaries, database=url, ui=False)
    client = await connect(await settled(crashed))
    await client.start_workflow("Nobody", id="kept", task_queue="nobody")
    await crashed.kill()
    async with await start_engine(tmp_path / "b", startable=binaries, database=url, ui=False) as engine:
        again = await connect(EngineSettings(address=engine.address))
        assert (await again.get_workflow_handle("kept").describe()).id == "kept"
        assert "word" not in engine.log.read_text()
    for name in ("engine", "engine_visibility"):
        postgresql.run(f"DROP DATABASE {name} WITH (FORCE)")
    postgresql.run("DROP ROLE engineer")


async def test_a_killed_parent_leaves_nothing_behind_and_the_home_can_be_used_at_once(
    tmp_path: Path, startable: Startable
) -> None:
    parent, line = await asyncio.to_thread(python, PARENT, tmp_path)
    pids = [int(pid) for pid in line.split()]
    try:
        assert len(pids) in (2, 4)  # the CLI serves its own Web UI
        assert all(alive(pid) for pid in pids)
    finally:
        parent.kill()
        parent.wait()
    async with await start_engine(tmp_path, startable=startable, ui=False):
        await gone(*pids)


async def test_a_killed_guard_takes_its_server_along(tmp_path: Path, startable: Startable) -> None:
    engine = await start_engine(tmp_path, startable=startable, database="memory", ui=False)
    server, guard = engine.pids
    os.kill(guard, signal.SIGKILL)
    await gone(server)
    assert await engine.ended() == -signal.SIGKILL
    await engine.stop()


async def test_a_home_in_use_is_refused_with_its_address(tmp_path: Path, startable: Startable) -> None:
    async with await start_engine(tmp_path, startable=startable, database="memory", ui=False) as engine:
        with pytest.raises(Conflict, match=f"process {engine.pid}, at {engine.address}"):
            await start_engine(tmp_path, startable=startable, database="memory", ui=False)
        there = running_at(tmp_path)
        assert there is not None
        assert there["address"] == engine.address
    assert running_at(tmp_path) is None


async def test_a_server_that_does_not_come_up_shows_its_log(tmp_path: Path) -> None:
    program = tmp_path / "temporal"
    program.write_text("#!/bin/sh\necho the disk is full\nexit 3\n")
    program.chmod(0o755)
    broken = CommandLine(program=program, version="1.32.0")
    with pytest.raises(Unavailable, match="the disk is full"):
        await start_engine(tmp_path / "home", startable=broken)
    assert running_at(tmp_path / "home") is None


async def test_data_of_another_kind_of_engine_is_not_touched(tmp_path: Path, startable: Startable) -> None:
    (tmp_path / "cli.sqlite").touch()
    with pytest.raises(EngineMissing, match="'cli'"):
        await start_engine(tmp_path, startable=startable)


@pytest.mark.parametrize("database", ["flie", "mysql://a@b/c", "postgresql://host/name", "postgresql://u:pw@h:x/name"])
async def test_a_database_that_cannot_be_meant_is_refused(database: str, tmp_path: Path) -> None:
    with pytest.raises(InputInvalid, match="engine's database") as refused:
        await start_engine(tmp_path, database=database)
    assert "pw" not in refused.value.message


def test_a_postgresql_address_is_read_with_its_escapes() -> None:
    read = Postgres.parse("postgresql://me:p%40ss%22@db.example:5433/engine?sslmode=require")
    assert read == Postgres(host="db.example", port=5433, user="me", password='p@ss"', name="engine", sslmode="require")
    assert read.visibility == "engine_visibility"


def test_a_port_that_is_taken_is_refused_by_number() -> None:
    taken = free_ports(Ports())
    assert free_ports(Ports(), before=taken) == taken
    with pytest.raises(InputInvalid, match=rf"port {taken.ui} .* ui "):
        free_ports(Ports(frontend=taken.ui, ui=taken.ui))


async def test_everything_is_registered_once_also_by_two_at_the_same_time(engine: SharedEngine) -> None:
    own = EngineSettings(address=engine.address, namespace="once", rehearsal_namespace="once-rehearsal")
    assert True in await asyncio.gather(prepare(own, embedded=True), prepare(own, embedded=True))
    assert not await prepare(own, embedded=True)
    client = await connect(own)
    assert not await missing_attributes(client, "once")
    assert not await missing_attributes(client, "once-rehearsal")
    with pytest.raises(RPCError, match="not found"):
        await missing_attributes(client, "never")


async def test_the_shared_engine_ends_with_its_last_user(tmp_path: Path) -> None:
    user = "import sys, pathlib, time; from tests.engine import shared_engine\n"
    user += "with shared_engine(pathlib.Path(sys.argv[1])) as there: print(there.address, flush=True); time.sleep(600)"
    (first, said), (second, repeated) = await asyncio.gather(
        *(asyncio.to_thread(python, user, tmp_path) for _ in range(2))
    )
    assert said == repeated
    there = running_at(tmp_path / "home")
    assert there is not None
    first.kill()
    first.wait()
    with shared_engine(tmp_path) as still:
        assert still.address == said.strip()
    second.kill()
    second.wait()
    await gone(there["pid"])
