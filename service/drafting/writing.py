"""Write a blueprint from words: a model answers, the answer is read, proved and explored, and its faults go back.

Whatever the words or the model say, the result is a document that somebody reviews; nothing is carried out.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from placet.errors import (
    BlueprintInvalid,
    DraftingFailed,
    InputInvalid,
    ModelUnavailable,
    NotFound,
    Problem,
    TooMuchWork,
)
from placet.json_text import read_json, with_floats
from placet.proofs.findings import Finding
from placet.sentences import sentence
from service.definitions import prove
from service.drafting.instructions import Message, again, opening
from service.drafting.language_model import LanguageModel
from service.drafting.settings import LONGEST_SENT, LONGEST_WORDS, MOST_REPAIRS
from service.drafts.merge import same
from service.drafts.work import fitting
from service.pool.pool import ProcessPool
from service.simulations.simulator import Simulator
from simulation.scenario.spec import parse_spec
from storage.database import Database

# What a model does not choose: they are the process's own, or of whoever has it written.
_CHOSEN = ("version", "owner")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A blueprint that a model has written. `findings` are warnings, `sent` is everything that went to the model.

    `outcomes` counts the branches that the exploration found, by their outcome. `tries` is 1 where nothing had to be
    repaired.
    """

    blueprint: dict[str, Any]
    findings: list[dict[str, Any]]
    outcomes: dict[str, int]
    tries: int
    sent: tuple[Message, ...]


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Says what is wrong with an answer, with this installation's proofs and its simulator."""

    database: Database
    pool: ProcessPool
    clock: Callable[[], datetime]
    by: str
    kept: dict[str, Any] = field(default_factory=dict)  # what a model does not choose
    current: dict[str, Any] | None = None  # the process that is changed

    async def judge(self, answer: str) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, int]]:
        """Return the blueprint in an answer, warnings, and the outcomes that it can come to.

        Raises BlueprintInvalid and InputInvalid with what is wrong.
        """
        document = fitting(with_floats(read_json(_object_in(answer))))
        document = {name: value for name, value in document.items() if name not in _CHOSEN} | self.kept
        if self.current is not None and same(document, self.current):
            raise InputInvalid.at("", sentence("the process is as it was; change it as the text asks"))
        report = await prove(self.database, self.pool, document, now=self.clock(), by=self.by)
        errors = [_fault(one) for one in report.findings if one.severity == "error"]
        if errors:
            raise BlueprintInvalid(problems=tuple(errors))
        return document, [one.described() for one in report.findings], await self._explored(document)

    async def _explored(self, document: dict[str, Any]) -> dict[str, int]:
        simulator = Simulator(database=self.database, pool=self.pool)
        spec = parse_spec({"mode": "explore", "blueprint": document})
        try:
            found = await simulator.carry_out(
                spec, requester=self.by, viewer=self.by, simulation_id="drafting", now=self.clock()
            )
        except NotFound as error:
            raise BlueprintInvalid(problems=(Problem(pointer="", message=error.message),)) from None
        faults = [Problem(pointer=one["pointer"], message=one["message"]) for one in found["validation_errors"]]
        outcomes: dict[str, int] = {}
        for branch in found["branch_explorations"]:
            outcome = str(branch.get("outcome"))
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
        if faults or not outcomes:
            nothing = Problem(pointer="", message=sentence("no request of this process comes to an end"))
            raise BlueprintInvalid(problems=tuple(faults) or (nothing,))
        return outcomes


async def write(
    model: LanguageModel, judge: Judge, words: str, *, seconds: float, current: dict[str, Any] | None = None
) -> Written:
    """Have a blueprint written from words, or `current` changed by them; an answer is repaired at most three times.

    Raises InputInvalid for words that are none or too many, DraftingFailed where no answer could be used,
    ModelUnavailable and TooMuchWork.
    """
    messages = opening(check_words(words), current)
    sent = list(messages)
    faults: tuple[Problem, ...] = ()
    try:
        async with asyncio.timeout(seconds):
            for tries in range(1, MOST_REPAIRS + 2):
                if sum(len(message.content) for message in messages) > LONGEST_SENT:
                    raise TooMuchWork(
                        sentence("This is more than goes to a language model; describe a smaller process.")
                    )
                answer = await model.ask(messages)
                try:
                    document, findings, outcomes = await judge.judge(answer)
                except (BlueprintInvalid, InputInvalid) as error:
                    faults = error.problems or (Problem(pointer="", message=error.message),)
                    told = again(faults)
                    messages += [Message(role="assistant", content=answer), told]
                    if tries <= MOST_REPAIRS:
                        sent += messages[-2:]
                    continue
                return Written(blueprint=document, findings=findings, outcomes=outcomes, tries=tries, sent=tuple(sent))
    except TimeoutError:
        raise ModelUnavailable from None
    raise DraftingFailed(problems=faults, tries=MOST_REPAIRS + 1, sent=described(sent))


def check_words(words: str) -> str:
    """Return somebody's words without spaces around them; raises InputInvalid where they are none or too many."""
    found = words.replace("\0", "").strip()
    if not found or len(found) > LONGEST_WORDS:
        raise InputInvalid.at("/words", sentence("write a text of 1 to {most} characters", most=LONGEST_WORDS))
    return found


def described(sent: Sequence[Message]) -> tuple[dict[str, str], ...]:
    """Return messages as JSON values."""
    return tuple({"role": message.role, "content": message.content} for message in sent)


def _object_in(answer: str) -> bytes:
    """Return the JSON object in an answer, which may stand between marks or words; raises InputInvalid without any."""
    first, last = answer.find("{"), answer.rfind("}")
    if first < 0 or last < first:
        raise InputInvalid.at("", sentence("the answer holds no JSON object; answer with the blueprint alone"))
    return answer[first : last + 1].encode("utf-8", "replace")


def _fault(finding: Finding) -> Problem:
    """Return a finding with the input that shows it; which person shows one does not go to a model."""
    if not finding.witness or "requester" in finding.witness:
        return Problem(pointer=finding.pointer, message=finding.message)
    witness = json.dumps(finding.witness, ensure_ascii=False, default=str)
    message = sentence("{message}; an input that shows it: {witness}", message=finding.message, witness=witness)
    return Problem(pointer=finding.pointer, message=message)
