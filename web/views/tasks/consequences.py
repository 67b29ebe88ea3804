"""What each decision leads to, in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from placet.engine.state import Decision
from service.consequences import Consequences
from simulation.modes.consequences import ANSWER, FORM, PEOPLE, PROCESS, SLOW, Consequence, Unavailable
from web.languages import Wording
from web.views import words
from web.views.people import Names
from web.views.words import marked

_REASONS = {
    FORM: marked("What follows depends on what is entered into the form."),
    PEOPLE: marked("Who is asked next depends on an answer that is not known yet."),
    ANSWER: marked("What follows depends on an answer that is not known yet."),
    PROCESS: marked("A sub-process begins, and its result is not known yet."),
    SLOW: marked("Working it out would take too long."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsequenceLine:
    """One decision and what it leads to; `end` is a forecast."""

    word: str
    sentences: tuple[str, ...]
    end: datetime | None


def people_in(found: Consequences) -> set[str]:
    """Return the people whom consequences name."""
    known = [one for one in found.decisions.values() if isinstance(one, Consequence)]
    return {person.removeprefix("user:") for one in known for stage in one.next for person in stage.people}


def lines_of(found: Consequences, names: Names, wording: Wording) -> tuple[ConsequenceLine, ...]:
    """Return a line for each decision."""
    return tuple(_line(decision, one, names, wording) for decision, one in found.decisions.items())


def _line(decision: Decision, one: Consequence | Unavailable, names: Names, wording: Wording) -> ConsequenceLine:
    say = wording.say
    word = say(words.DECISIONS[decision])
    if isinstance(one, Unavailable):
        reason = say(_REASONS[one.reason]) if one.reason in _REASONS else wording.tell(one.reason)
        return ConsequenceLine(word=word, sentences=(reason,), end=None)
    sentences = []
    if one.outcome is not None:
        sentences.append(say("The request ends: {outcome}.").format(outcome=words.outcome(say, "", one.outcome)))
    elif decision == "request_changes":
        sentences.append(say("The request goes back to its requester."))
    elif one.next:
        for stage in one.next:
            people = ", ".join(names(person) for person in stage.people) or say("nobody yet")
            sentences.append(say("Next is {stage}: {people}.").format(stage=stage.stage, people=people))
    elif not one.settles:
        sentences.append(say("The stage waits for other decisions."))
    else:
        sentences.append(say("The request goes on without asking anybody at once."))
    for effect in one.side_effects:
        what = f"{effect.action} ({', '.join(effect.side_effects)})" if effect.side_effects else effect.action
        sentences.append(say("The action {action} runs.").format(action=what))
    if one.assumed:
        sentences.append(say("That assumes an answer of {nodes}.").format(nodes=", ".join(one.assumed)))
    end = one.forecast_end if one.outcome is None else None
    return ConsequenceLine(word=word, sentences=tuple(sentences), end=end)
