"""Following: whether the simulated run of a route took the route, and how far it came where it ended early."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from placet.nodes.registry import type_at
from placet.plan.plan import Plan
from simulation.run.driver import Trace
from simulation.scenario.route_variables import is_pure
from simulation.scenario.routes import Route

_RESULTS = {"action_run": "done", "action_kept": "done", "action_failed": "failed", "child_failed": "failed"}


def follows(plan: Plan, route: Route, trace: Trace) -> bool:
    """Whether a trace has the results, the edges, the joins and the end of its route."""
    last = plan.nodes.get(route.nodes[-1])
    ended = last is None or trace.state.outcome == last.outcome
    if trace.stopped is not None or not ended or not took_edges(route, trace):
        return False
    wanted = Counter(_by_stage(plan, node, result) for node, result in route.results)
    return not wanted - Counter(_results(trace)) and not Counter(route.joined) - Counter(_joins(trace))


def took_edges(route: Route, trace: Trace) -> bool:
    """Whether the decision nodes of a trace took the edges of its route."""
    return Counter(_edges(route, trace)) == _edges_of(route)


def ended_early(plan: Plan, route: Route, trace: Trace) -> bool:
    """Whether a trace took its route as far as it went: it was stopped, or the request failed on the way.

    Where it waits for ever because an event was refused, nothing is known of its route.
    """
    if trace.stopped is None and trace.state.status == "completed":
        return False
    if trace.stopped == "waiting" and any(applied.refused for applied in trace.applied_events):
        return False
    if Counter(_edges(route, trace)) - _edges_of(route):
        return False
    wanted = Counter(_by_stage(plan, node, result) for node, result in route.results)
    on_route = {_by_stage(plan, node, "")[0]: node for node in route.nodes if node in plan.nodes}
    more = Counter(one for one in _results(trace) if one[0] in on_route) - wanted
    # A result without an edge ends the request: that is how it failed.
    return not any(_leads_on(plan, on_route[name], result) for name, result in more)


def as_far_as(plan: Plan, route: Route, trace: Trace) -> Route:
    """Return a route up to the node at which its trace ended early, with the results that came."""
    came, edges = Counter(_results(trace)), Counter(_edges(route, trace))
    wanted, waiting = list(route.results), [(taken["node"], taken["to"]) for taken in route.taken]
    nodes: list[str] = []
    results: list[tuple[str, str]] = []
    for node in route.nodes:
        nodes.append(node)
        result = next((one for one in wanted if one[0] == node), None)
        edge = next((one for one in waiting if one[0] == node), None)
        if result is not None:
            wanted.remove(result)
            if not came[_by_stage(plan, *result)]:
                break
            came[_by_stage(plan, *result)] -= 1
            results.append(result)
        if edge is not None:
            waiting.remove(edge)
            if not edges[edge]:
                break
            edges[edge] -= 1
    return replace(route, nodes=tuple(nodes), results=tuple(results))


def depends_on_conditions_alone(plan: Plan) -> bool:
    """Whether the input decides nothing but conditions, so that one input shows what others would come to."""
    computes = any(
        node.expressions and not type_at(node).has_conditions and not is_pure(plan, node)
        for node in plan.nodes.values()
    )
    return not computes and not plan.people_variables and not plan.set_outside and not plan.children


def settled_in(trace: Trace) -> Iterator[dict[str, str]]:
    """List the stages that were settled in a trace, with their results."""
    for entry in trace.entries:
        if entry.kind == "stage_settled":
            yield {"stage": entry.stage or "", "result": str(entry.detail.get("result"))}


def _by_stage(plan: Plan, node: str, result: str) -> tuple[str, str]:
    """Return a result as entries name it: by the stage, where the node is one."""
    stage = plan.stages_by_node.get(node)
    return (stage.name if stage is not None else node), result


def _leads_on(plan: Plan, node: str, result: str) -> bool:
    return type_at(plan.nodes[node]).edge_on(plan.nodes[node], result) is not None


def _results(trace: Trace) -> Iterator[tuple[str, str]]:
    """List the results of stages, by their names, and of other nodes."""
    for entry in trace.entries:
        detail = entry.detail
        if entry.kind == "stage_settled":
            yield entry.stage or "", str(detail.get("result"))
        elif entry.kind in {"waited", "child_ended", "child_kept", *_RESULTS}:
            yield detail["node"], str(detail.get("result") or detail.get("outcome") or _RESULTS[entry.kind])


def _edges(route: Route, trace: Trace) -> Iterator[tuple[str, str]]:
    """List the edges that the decision nodes of a route took in a trace."""
    for entry in trace.entries:
        if entry.kind == "routed" and entry.detail["node"] in route.nodes:
            yield entry.detail["node"], entry.detail["to"]


def _edges_of(route: Route) -> Counter[tuple[str, str]]:
    return Counter((taken["node"], taken["to"]) for taken in route.taken)


def _joins(trace: Trace) -> Iterator[tuple[str, frozenset[str]]]:
    for entry in trace.entries:
        if entry.kind == "joined":
            yield entry.detail["node"], frozenset(entry.detail["arrived"])
