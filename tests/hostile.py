"""A hostile caller beside an ordinary one, on a running Placet: what the one sends, and how the other fares."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests import bombs
from tests.approvals import EXPENSE
from tests.waiting import PATIENCE

Call = tuple[str, str, bytes]  # method, path, body
AT_ONCE = 8  # calls of the hostile one in flight
_LONGEST = 990_000  # bytes of a body that is taken at all


def calls() -> dict[str, list[Call]]:
    """Return what the hostile one sends, by kind."""
    found: dict[str, list[Call]] = {
        "schemas in simulations": [_simulated(_formed(schema)) for _, schema, _ in bombs.schemas()],
        "schemas in checks": [_post(f"{_TEMPLATES}check/", _formed(schema)) for _, schema, _ in bombs.schemas()],
        "schemas in drafts": [_post(_TEMPLATES, _formed(schema)) for _, schema, _ in bombs.schemas()],
        "schemas in the catalog": [
            _post("action-catalog/", {"name": f"a{n}", "input_schema": schema, "output_schema": schema})
            for n, (_, schema, _) in enumerate(bombs.schemas())
        ],
        "bodies": [("POST", "requests/", body) for _, body, _ in bombs.bodies()],
        "documents": [
            _post(path, raw)
            for _, raw, _ in bombs.documents()
            for path in (f"{_TEMPLATES}check/", _TEMPLATES)
            if bombs.size(raw) < _LONGEST
        ],
        "expressions": [_post(f"{_TEMPLATES}check/", bombs.deciding(text)) for _, text, _ in bombs.expressions()],
        "evaluations": [_simulated(_evaluating(text), _LONG) for _, text in [*bombs.evaluations()]],
        "templates": [
            _post("notification-templates/task_opened/preview/", {"subject": "x", "text": source, "html": source})
            for _, source, _ in bombs.templates()
        ],
        "diagrams": [
            _post(f"{_TEMPLATES}import_bpmn/", {"bpmn": content.decode(), "dry_run": True})
            for _, content, _ in bombs.diagrams()
            if len(content) < _LONGEST and b"\0" not in content
        ],
        "processes": [_simulated(raw, most_branches=1000) for raw in explosions()],
        "proofs": [_post(f"{_TEMPLATES}check/", raw) for raw in explosions()],
        "imports of flows": [
            _post(f"{_TEMPLATES}import_bpmn/", {"bpmn": flows(n), "dry_run": True}) for n in (60, 400)
        ],
    }
    return {kind: [call for call in each if len(call[2]) < _LONGEST] for kind, each in found.items()}


_TEMPLATES = "process-templates/"
_LONG = {"text": "a" * 10_000, "list": list(range(1_000)), "texts": ["a" * 100] * 1_000}


def explosions() -> Iterator[dict[str, Any]]:
    """Generate processes that are small, and have more ways or harder questions than anybody can follow."""
    ends = [{"id": "start", "type": "trigger"}, {"id": "yes", "type": "terminator", "outcome": "approved"}]
    nodes, edges = [*ends], [{"from": "start", "to": "d0"}]
    for n in range(60):
        onward = f"d{n + 1}" if n < 59 else "yes"
        nodes += [{"id": f"d{n}", "type": "decision"}, {"id": f"w{n}", "type": "wait", "hours": 1}]
        edges += [{"from": f"d{n}", "to": f"w{n}", "condition": f"amount > {n * 10}"}]
        edges += [{"from": f"d{n}", "to": onward, "default": True}, {"from": f"w{n}", "to": onward}]
    amount = [{"name": "amount", "type": "decimal"}]
    yield bombs.process(variables=amount, graph_spec={"nodes": nodes, "edges": edges}, process_steps=[])
    steps = [{"stage_name": f"S{n}", "approvers": ["role:cfo"], "sla_hours": 1} for n in range(60)]
    nodes, edges = [*ends, {"id": "f", "type": "fork"}, {"id": "j", "type": "join"}], [{"from": "start", "to": "f"}]
    for n in range(60):
        nodes.append({"id": f"p{n}", "type": "approval", "step": f"S{n}"})
        edges += [{"from": "f", "to": f"p{n}"}, {"from": f"p{n}", "to": "j"}]
    edges.append({"from": "j", "to": "yes"})
    yield bombs.process(process_steps=steps, graph_spec={"nodes": nodes, "edges": edges})
    yield bombs.deciding("amount * amount * amount + amount * amount == 7919.0 * amount + 123457.0")
    yield bombs.process(process_steps=[step | {"reminders": {"every_hours": 0.0003}} for step in steps[:1]])


def flows(count: int) -> str:
    """Return a BPMN file with so many gateways, each of which leads to all that follow."""
    edges = "".join(
        f'<sequenceFlow id="f{a}-{b}" sourceRef="g{a}" targetRef="g{b}"/>'
        for a in range(count)
        for b in range(a + 1, min(count, a + 20))
    )
    gateways = "".join(f'<exclusiveGateway id="g{n}"/>' for n in range(count))
    ends = '<startEvent id="s"/><sequenceFlow id="x" sourceRef="s" targetRef="g0"/><endEvent id="e"/>'
    last = f'<sequenceFlow id="y" sourceRef="g{count - 1}" targetRef="e"/>'
    space = 'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"'
    return f'<definitions {space}><process id="p" name="P">{ends}{gateways}{edges}{last}</process></definitions>'


def _asking(schema: dict[str, Any]) -> dict[str, Any]:
    return {"stage_name": "S", "approvers": ["role:cfo"], "form": schema}


def _formed(schema: dict[str, Any]) -> dict[str, Any]:
    return bombs.process(process_steps=[_asking(schema)])


def _evaluating(text: str) -> dict[str, Any]:
    numbers = {"name": "list", "type": "list", "items": {"type": "integer"}}
    texts = {"name": "texts", "type": "list", "items": {"type": "string"}}
    raw = bombs.deciding(text)
    return raw | {"variables": [{"name": "text", "type": "string"}, numbers, texts]}


def _simulated(raw: dict[str, Any], given: dict[str, Any] | None = None, **more: Any) -> Call:
    order = {"mode": "explore", "blueprint": raw} | ({"input": given} if given is not None else {})
    return _post("workflow-simulations/", order | more)


def _post(path: str, body: Any) -> Call:
    return "POST", path, json.dumps(body).encode()


@dataclass
class Fared:
    """How both fared during one kind; times in seconds, memory in megabytes."""

    statuses: Counter[int] = field(default_factory=Counter)  # of the hostile one's calls
    decisions: list[float] = field(default_factory=list)  # how long each took, all of them answered 200
    refused: list[str] = field(default_factory=list)  # decisions that were answered otherwise
    grown: float = 0.0  # the service's process at its largest, beyond what it held before


async def endure(
    api: str, pid: int, tokens: dict[str, str], sent: list[Call], *, least: int = 5, again: bool = False
) -> Fared:
    """Send calls as an admin while somebody else's requests are decided, `least` of them at the least.

    Each is sent once, or, with `again`, over and over until so many are decided.
    """
    fared = Fared()
    before = _megabytes(pid)
    left = itertools.cycle(sent) if again else iter(sent)
    limits = httpx.Limits(max_connections=AT_ONCE + 4, max_keepalive_connections=0)  # none is closed while it is used
    async with httpx.AsyncClient(
        base_url=f"{api}/api/v1/workflow/", timeout=PATIENCE * 5, limits=limits, trust_env=False
    ) as http:

        async def hostile() -> None:
            headers = {"Authorization": f"Bearer {tokens['olivia']}", "Content-Type": "application/json"}
            for method, path, body in left:
                answer = await http.request(method, path, content=body, headers=headers)
                fared.statuses[answer.status_code] += 1
                if again and len(fared.decisions) + len(fared.refused) >= least:
                    return

        async def ordinary() -> None:
            while len(fared.decisions) + len(fared.refused) < least or not attacking.done():
                await _decide(http, tokens, fared)
                fared.grown = max(fared.grown, _megabytes(pid) - before)

        attacking = asyncio.gather(*(hostile() for _ in range(AT_ONCE)))
        await asyncio.gather(attacking, ordinary())
    fared.grown = max(fared.grown, _megabytes(pid) - before)
    return fared


async def _decide(http: httpx.AsyncClient, tokens: dict[str, str], fared: Fared) -> None:
    ann, bob = ({"Authorization": f"Bearer {tokens[name]}"} for name in ("ann", "bob"))
    body = {"template": EXPENSE["name"], "input": {"amount": "7"}}
    started = await http.post("requests/", json=body, headers=ann)
    if started.status_code != httpx.codes.CREATED:
        fared.refused.append(started.text)
        return
    (task,) = started.json()["tasks"]
    asked = time.perf_counter()
    decided = await http.post(f"tasks/{task['id']}/decide/", json={"decision": "approve"}, headers=bob)
    if decided.status_code == httpx.codes.OK:
        fared.decisions.append(time.perf_counter() - asked)
    else:
        fared.refused.append(decided.text)


def _megabytes(pid: int) -> float:
    """Return what a process holds."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024
