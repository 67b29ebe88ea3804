"""OpenAI Agents SDK: a tool that needs approval interrupts the run, people decide in Placet, and the run resumes."""

from __future__ import annotations

import json

from agents import Agent, Model, RunConfig, Runner, function_tool

from examples.approvals.asking import denial_of
from placet.client import AsyncClient


def banker(model: Model, sent: list[tuple[str, str]]) -> Agent:
    """Return an agent whose only tool needs an approval for each call."""

    @function_tool(needs_approval=True)
    def transfer(iban: str, amount: str) -> str:
        """Transfer money."""
        sent.append((iban, amount))
        return f"{amount} EUR were sent to {iban}."

    return Agent(name="banker", model=model, tools=[transfer])


async def run(agent: Agent, placet: AsyncClient, process: str, prompt: str) -> str:
    """Run the agent to its end; each interruption is asked about, claimed, and only then approved."""
    config = RunConfig(tracing_disabled=True)
    result = await Runner.run(agent, prompt, run_config=config)
    while result.interruptions:
        state = result.to_state()
        for call in result.interruptions:
            arguments = json.loads(call.raw_item.arguments)
            denial = await denial_of(placet, process, call.name or "", arguments)
            if denial is None:
                state.approve(call)
            else:
                state.reject(call, rejection_message=denial)
        result = await Runner.run(agent, state, run_config=config)
    return str(result.final_output)
