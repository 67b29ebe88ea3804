"""pydantic-ai: a tool that requires approval is deferred, people decide in Placet, and the run goes on."""

from __future__ import annotations

from pydantic_ai import Agent, DeferredToolRequests, DeferredToolResults, ToolApproved, ToolDenied
from pydantic_ai.models import Model

from examples.approvals.asking import denial_of
from placet.client import AsyncClient


def banker(model: Model, sent: list[tuple[str, str]]) -> Agent[None, str | DeferredToolRequests]:
    """Return an agent whose only tool needs an approval for each call."""
    agent: Agent[None, str | DeferredToolRequests] = Agent(model, output_type=[str, DeferredToolRequests])

    @agent.tool_plain(requires_approval=True)
    def transfer(iban: str, amount: str) -> str:
        """Transfer money."""
        sent.append((iban, amount))
        return f"{amount} EUR were sent to {iban}."

    return agent


async def run(agent: Agent[None, str | DeferredToolRequests], placet: AsyncClient, process: str, prompt: str) -> str:
    """Run the agent to its end; each deferred call is asked about, claimed, and only then approved."""
    result = await agent.run(prompt)
    while isinstance(result.output, DeferredToolRequests):
        answers = DeferredToolResults()
        for call in result.output.approvals:
            denial = await denial_of(placet, process, call.tool_name, call.args_as_dict())
            answers.approvals[call.tool_call_id] = ToolApproved() if denial is None else ToolDenied(denial)
        result = await agent.run(message_history=result.all_messages(), deferred_tool_results=answers)
    return result.output
