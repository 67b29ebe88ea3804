"""LangGraph: a node interrupts the graph with what it is about to do, people decide in Placet, and it resumes."""

from __future__ import annotations

from typing import Any, TypedDict

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from examples.approvals.asking import denial_of
from placet.client import AsyncClient


class Transfer(TypedDict, total=False):
    """The state of the graph."""

    iban: str
    amount: str
    told: str


def graph(sent: list[tuple[str, str]]) -> Any:
    """Return a graph that plans a transfer and carries it out once the interrupt was answered with no denial."""

    def transfer(state: Transfer) -> Transfer:
        # The node runs again from here when the graph resumes: nothing may happen before the interrupt.
        answer = interrupt({"tool": "transfer", "arguments": {"iban": state["iban"], "amount": state["amount"]}})
        if not answer["approved"]:
            return {"told": answer["told"]}
        sent.append((state["iban"], state["amount"]))
        return {"told": "sent"}

    builder = StateGraph(Transfer)
    builder.add_node("transfer", transfer)
    builder.add_edge(START, "transfer")
    builder.add_edge("transfer", END)
    return builder.compile(checkpointer=InMemorySaver())  # a durable one in production


async def run(compiled: Any, placet: AsyncClient, process: str, thread: str, given: Transfer) -> Transfer:
    """Run the graph to its end, and have people answer each interrupt."""
    config = {"configurable": {"thread_id": thread}}
    state = await compiled.ainvoke(given, config)
    while state.get("__interrupt__"):
        asked = state["__interrupt__"][0].value
        denial = await denial_of(placet, process, asked["tool"], asked["arguments"])
        state = await compiled.ainvoke(Command(resume={"approved": denial is None, "told": denial}), config)
    return {"told": state["told"]}
