"""The conversation of a request: comments, questions to the requester, their answers, and the requester's reminders."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from placet.audit.chain import moment
from placet.audit.sealed import sealed
from placet.definition.json_schema.forms import check_text, has_words
from placet.engine.events import AnswerQuestion, AskQuestion, Comment, Remind
from placet.engine.mentions import mentioned_in
from placet.engine.run import Run
from placet.engine.state import Question, Task
from placet.errors import InputInvalid, NotPermitted, Refused, TooSoon, UnknownQuestion
from placet.sentences import sentence
from placet.tasks.permissions import may_operate, open_task, require_not_returned, require_running
from placet.tasks.sla import people_to_remind
from placet.tasks.substitution import absent_seat_holder, eligible_candidates, represented_person

# A state holds its questions, and continue-as-new passes it on whole: together they stay far below what it may carry.
MOST_QUESTIONS = 50
REMIND_AGAIN = timedelta(hours=24)  # after which a requester may remind people once more
LONGEST_QUESTION = 2_000  # characters, of an answer too


def comment(run: Run, event: Comment) -> None:
    """Record a comment and notify the others who are concerned."""
    require_running(run)
    text = check_text(event.text, "/text", optional=False)
    if run.rules.requires_words_in_comments and not has_words(text):
        raise InputInvalid.at("/text", "write some text")
    mentioned = _mentioned(event, text)
    run.record("commented", actor=event.by.name, why=sealed(text), mentioned=_as_users(mentioned))
    run.notify("mentioned", *mentioned, text=text, by=event.by.name)
    people = [run.state.requester, *(p for t in run.open_tasks() for p in (t.assignee, *t.delegates))]
    others = (person for person in people if person not in {event.by.person, *mentioned})
    run.notify("commented", *others, text=text, by=event.by.name)


def ask(run: Run, event: AskQuestion) -> None:
    """Ask the requester something; nothing else about the request changes."""
    require_running(run)
    task = _task_asked_about(run, event)
    text = _words(event.text)
    questions = run.state.questions
    if len(questions) >= MOST_QUESTIONS:
        raise Refused(
            sentence(
                "A request takes {most_questions} questions; write a comment instead.", most_questions=MOST_QUESTIONS
            )
        )
    asked = Question(
        n=len(questions) + 1,
        task_id=task.id if task else None,
        asked_by=event.by.person,
        asked_at=run.now,
        text=text,
    )
    run.set(questions=(*questions, asked))
    mentioned = [person for person in _mentioned(event, text) if person != run.state.requester]
    run.record(
        "question_asked",
        actor=event.by.name,
        task=task,
        question=asked.n,
        why=sealed(text),
        mentioned=_as_users(mentioned),
    )
    run.notify("question_asked", run.state.requester, task=task, text=text, by=event.by.name, question=asked.n)
    run.notify("mentioned", *mentioned, text=text, by=event.by.name)


def answer(run: Run, event: AnswerQuestion) -> None:
    """Answer a question, and notify whoever asked it and the others who have its task now."""
    require_running(run)
    if event.by.person != run.state.requester:
        raise NotPermitted("Only the requester can answer a question; write a comment instead.")
    questions = run.state.questions
    if not 1 <= event.n <= len(questions):
        raise UnknownQuestion(
            sentence("The request has no question {n}; it has {count}.", n=event.n, count=len(questions))
        )
    asked = questions[event.n - 1]
    if asked.answer is not None:
        raise Refused(sentence("Question {n} has been answered; write a comment to add something.", n=asked.n))
    text = _words(event.text)
    answered = replace(asked, answered_at=run.now, answer=text)
    run.set(questions=(*questions[: asked.n - 1], answered, *questions[asked.n :]))
    task = run.tasks.get(asked.task_id or "")
    holders = task.people if task is not None and task.status == "open" else ()
    told = [person for person in (asked.asked_by, *holders) if person != event.by.person]
    mentioned = [person for person in _mentioned(event, text) if person not in told]
    run.record(
        "question_answered",
        actor=event.by.name,
        task=task,
        question=asked.n,
        why=sealed(text),
        mentioned=_as_users(mentioned),
    )
    run.notify("mentioned", *mentioned, text=text, by=event.by.name)
    run.notify(
        "question_answered",
        *told,
        task=task,
        text=text,
        asked=asked.text,
        by=event.by.name,
        question=asked.n,
    )


def remind(run: Run, event: Remind) -> None:
    """Remind, once a day at most, those who have not decided yet; the schedule of reminders stays as it is."""
    require_running(run)
    if event.by.person != run.state.requester:
        raise NotPermitted("Only the requester can remind people in this way; write a comment instead.")
    require_not_returned(run)
    last = run.state.reminded_at
    if last is not None and run.now < last + REMIND_AGAIN:
        again_at = last + REMIND_AGAIN
        raise TooSoon(
            sentence("You have reminded people already; you can again from {again_at} on.", again_at=moment(again_at)),
            again_at=again_at,
        )
    tasks = run.open_tasks()
    if not tasks and (until := max((t.undo_until for t in run.tasks.values() if t.undo_until), default=None)):
        raise Refused(
            sentence("The request waits for nobody while a decision may be undone, until {until}.", until=moment(until))
        )
    if not tasks:
        raise Refused("The request waits for nobody's decision now.")
    run.set(reminded_at=run.now)
    for task in tasks:
        people = people_to_remind(run, task)
        to = [f"user:{person}" for person in people]
        run.record("reminded", actor=event.by.name, task=task, to=to, due_at=task.due_at)
        run.notify("reminded", *people, task=task, due_at=task.due_at, by=event.by.name)


def _task_asked_about(run: Run, event: AskQuestion) -> Task | None:
    """Return the open task that somebody asks about; raises NotPermitted for whoever has none and operates nothing."""
    named = open_task(run, event.task_id) if event.task_id is not None else None
    tasks = run.open_tasks() if named is None else [named]
    person = event.by.person
    found = next((t for t in tasks if person in t.people or person == absent_seat_holder(run.state, t.via)), None)
    if found is not None:
        return found
    if may_operate(run, event.by):
        return named
    run.need_directory_of_now()
    found = next((task for task in tasks if _may_take(run, task, person)), None)
    if found is None:
        raise NotPermitted("Only people with an open task here, the process owner or an admin can ask a question.")
    return found


def _may_take(run: Run, task: Task, person: str) -> bool:
    """Whether somebody stands in for a person of the task, or could claim it from its queue."""
    if task.assignee is None:
        return person in eligible_candidates(run, task)
    return represented_person(run, task, person) is not None


def _mentioned(event: Comment | AskQuestion | AnswerQuestion, text: str | None) -> list[str]:
    """Return whom a text mentions of those who may see the request, but for whoever wrote it."""
    allowed = {*event.mentions} - {event.by.person}
    return [person for person in mentioned_in(text or "") if person in allowed]


def _as_users(people: list[str]) -> list[str] | None:
    return [f"user:{person}" for person in people] or None


def _words(given: str) -> str:
    text = check_text(given, "/text", optional=False)
    if text is None or not has_words(text):
        raise InputInvalid.at("/text", "write some text")
    if len(text) > LONGEST_QUESTION:
        raise InputInvalid.at(
            "/text", sentence("write at most {longest_question} characters", longest_question=LONGEST_QUESTION)
        )
    return text
