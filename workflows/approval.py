"""ApprovalWorkflow: the driver that durably carries out what the core decides, one run for each request.

The core (`placet.engine.machine`) is pure. This workflow gives it the time, records what it returns, keeps one timer,
and handles updates, signals and queries. It contains no rule of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow

from activities.messages import (
    DirectoryQuery,
    DirectoryResult,
    SubprocessResultCheck,
    SubprocessResultVerdict,
    TokenCheck,
    TokenVerdict,
)
from placet.audit.chain import Entry
from placet.audit.reasons import Reason
from placet.definition.assignees import is_person, person_id
from placet.directory import NEVER
from placet.engine import machine
from placet.engine.events import (
    SYSTEM,
    Actor,
    AddApprover,
    AnswerQuestion,
    AskQuestion,
    Attach,
    ChildEnded,
    Claim,
    ClaimAction,
    Comment,
    Decide,
    Delegate,
    DirectoryRead,
    Event,
    Extend,
    Happened,
    Migrate,
    NamesPerson,
    Reassign,
    Release,
    Remind,
    Resubmit,
    SignalRefused,
    StoreAhead,
    Undo,
    Withdraw,
)
from placet.engine.recording import recording_of
from placet.engine.state import ChildCall, Notification, State, Task, Transition
from placet.errors import Ended, InputInvalid, PlacetError, Problem, reason_of
from placet.json_values import check_json
from placet.plan.plan import Plan
from workflows import display
from workflows.calls import Calls, result_to_sign, tell_parent
from workflows.failures import as_failure
from workflows.interface import TIMER_LEAD, Answer, Parent, Start, Timeline
from workflows.lifecycle import as_taken, begin_time, due_moment, how_far_stored, lacks_loads, moment, wait_for_store
from workflows.local_activities import local
from workflows.signals import SignedDecision, SignedSubprocessResult, decision_of, read_signal
from workflows.updates import Foreseen, update

__all__ = ["Answer", "ApprovalWorkflow", "SignedDecision", "Start", "Timeline"]

SHORTEST_WAIT = timedelta(milliseconds=1)  # the engine sets no timer of zero length


@workflow.defn
class ApprovalWorkflow:
    """One request for approval, from its start to its outcome."""

    @workflow.init
    def __init__(self, start: Start) -> None:
        """Build the state before anything runs: an update can be delivered before `run` begins."""
        self._start = start
        self._plan = start.plan
        self._began = begin_time(start.opening)
        self._state = start.state or machine.opening_state(
            self._plan, as_taken(start.opening, marks_late=start.marks_late), self._began
        )
        self._begun = start.state is not None
        self._entries: list[Entry] = []
        self._unrecorded: list[Entry] = []
        self._notifications: list[Notification] = []
        self._stored: dict[str, Task] = {}  # the tasks as this run recorded them last
        self._turn = asyncio.Lock()  # one event after the other, also across the awaits of recording
        self._calls = Calls(start.plan, self._carry_out, self._awaits)
        self._will_read = self._will_look = False  # at the directory, at the store: for signals that wait for a turn
        self._latest = self._began  # of the moments at which something happened
        self._accepted: list[datetime] = []  # when updates were accepted whose effects are not recorded yet
        self._lead = timedelta(seconds=start.timer_lead or 0)
        self._new_run_suggested = False  # as a recording said
        self._foreseen: Foreseen | None = None  # of the validator that ran last, for its handler

    @workflow.run
    async def run(self, start: Start) -> Answer:
        """Drive the request to its end. A cancellation in the engine ends it as cancelled, with notifications."""
        driver = asyncio.create_task(self._drive())
        try:
            await asyncio.shield(driver)
        except asyncio.CancelledError:
            await self._cancel()
            try:
                await driver
            except workflow.ContinueAsNewError:
                await self._carry_on()  # the state that it wanted to pass on is from before the cancellation
        closing = asyncio.create_task(self._close(start.parent))
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:  # too late: the request has ended, and its outcome stands
            await closing
        return self._answer()

    @workflow.query
    def state(self) -> State:
        """Return the whole state."""
        return self._state

    @workflow.query
    def timeline(self) -> Timeline:
        """Return the entries of this run."""
        return Timeline(entries=tuple(self._entries), head=self._state.head)

    @workflow.query
    def recorded(self) -> Answer:
        """Return up to which entry history holds the audit chain; notifications may be sent up to it."""
        return self._answer()

    decide = update(Decide, "decide", "Decide a task.")
    undo = update(Undo, "undo", "Undo a decision that does not stand yet.")
    reassign = update(Reassign, "reassign", "Give a task to somebody else.")
    delegate = update(Delegate, "delegate", "Allow another person to decide a task.")
    add_approver = update(AddApprover, "add_approver", "Ask one more person in the stage of a task.")
    claim = update(Claim, "claim", "Take a task out of its queue.")
    release = update(Release, "release", "Put a task back into its queue.")
    comment = update(Comment, "comment", "Comment on the request.")
    ask_question = update(AskQuestion, "ask_question", "Ask the requester a question.")
    answer_question = update(AnswerQuestion, "answer_question", "Answer a question.")
    remind = update(Remind, "remind", "Remind those whom the request waits for.")
    extend = update(Extend, "extend", "Move deadlines.")
    resubmit = update(Resubmit, "resubmit", "Answer a request for changes.")
    claim_action = update(ClaimAction, "claim_action", "Claim the approved action.")
    attach = update(Attach, "attach", "Add a file, which is stored already.")
    withdraw = update(Withdraw, "withdraw", "Withdraw or cancel the request.")
    happened = update(Happened, "happened", "Accept an external event.")
    migrate = update(Migrate, "migrate", "Move the request to another version of its process.")

    @workflow.query
    def unmapped(self, event: Migrate) -> list[Problem]:
        """Return the problems that prevent a move to another version now."""
        try:
            machine.check(self._plan, self._state, event, workflow.now())
        except PlacetError as error:
            return list(error.problems) or [Problem(pointer="", message=error.message)]
        return []

    @workflow.signal(name="decide")
    async def decide_by_signal(self, *given: Any) -> None:
        """Decide a task by a signed token, for other interfaces. An invalid signal is recorded and changes nothing."""
        try:
            signed = read_signal(SignedDecision, given)
        except InputInvalid as error:
            await self._carry_out(SignalRefused(reason=error.message, why=error.reason))
            return
        await workflow.wait_condition(lambda: self._begun)
        async with self._turn:
            await self._decide_signed(signed)

    @workflow.signal
    async def directory_changed(self, *_: Any) -> None:
        """Read the directory again: somebody has left, and their tasks are reassigned."""
        if self._will_read and workflow.patched("read-once-for-all"):
            return  # an earlier signal has not read it yet, and reads it for this one too
        self._will_read = True
        async with self._turn:
            self._will_read = False
            await self._read_directory()
            await self._record()

    @workflow.signal
    async def store_ahead(self, *_: Any) -> None:
        """Look whether the store holds what history does not, of a lost workflow task, and take that back."""
        if self._will_look or not self._begun:
            return
        self._will_look = True
        async with self._turn:
            self._will_look = False
            if (stored := await how_far_stored(self._state)) > self._state.seq:
                await self._apply(StoreAhead(stored=stored), await moment())

    @workflow.signal
    async def child_ended(self, *given: Any) -> None:
        """Accept the result of a sub-process, if the worker that ended it has signed it."""
        try:
            signed = read_signal(SignedSubprocessResult, given)
        except InputInvalid as error:
            await self._carry_out(SignalRefused(reason=error.message, why=error.reason))
            return
        await workflow.wait_condition(lambda: self._begun)
        async with self._turn:
            event, at = await self._verified(signed)
            await self._apply(event, at)

    def _awaits(self, call: ChildCall) -> bool:
        """Tell whether the result of a sub-process is still awaited."""
        held = any((h.node, h.visit) == (call.node, call.visit) for h in self._state.held)
        return call in self._state.children and not held

    def refuse(self, event: Event) -> None:
        """Refuse an event that may not be applied, before it enters history."""
        if not self._begun or self._stranger(event) is not None:
            return  # the handler waits for the start or reads the directory, and then applies the rules
        now = workflow.now()
        try:
            step = machine.apply(self._plan, self._state, event, now)
        except PlacetError as error:
            if (refusal := self._refusal(event, error)) is None:
                return
            raise as_failure(refusal) from error
        self._foreseen = Foreseen(plan=self._plan, state=self._state, event=event, now=now, step=step)

    def _refusal(self, event: Event, error: PlacetError) -> PlacetError | None:
        """Return why an event is refused now: as of the first update that waits for its turn, where one does.

        That one may undo what time has since made final, so nobody is told that the request has ended. None where the
        event would not be refused then: the handler applies the rules after that update.
        """
        if not self._accepted:
            return error
        try:
            machine.apply(self._plan, self._state, event, max(self._latest, self._accepted[0]))
        except PlacetError as earlier:
            return earlier
        return None

    async def _drive(self) -> None:
        """Begin, and carry out what is due."""
        await self._begin()
        if self._start.state is not None:
            self._calls.resume(self._state)
        await self._carry_on()

    async def _carry_on(self) -> None:
        """Carry out what is due until the request ends and nothing waits to be claimed."""
        while self._state.runs:
            due = await self._until_due()
            if self._may_continue_as_new():
                await self._continue_as_new()
            if due and self._state.runs:
                await self._handle_due()

    async def _cancel(self) -> None:
        """End the request as cancelled, unless events that were already recorded end it."""
        in_turn = workflow.patched("settle-in-turn")
        if in_turn or workflow.patched("settle-before-cancel"):
            if not self._begun and workflow.patched("begin-before-cancel"):
                # The results of both would come in one activation, and in a replay in two.
                await workflow.wait_condition(lambda: self._begun)
            await wait_for_store(lambda: self._state, self._turn if in_turn else nullcontext())
        by = Actor(person=SYSTEM, admin=True)
        try:
            await self._carry_out(Withdraw(by=by, how="cancelled", reason="cancelled in the engine"))
        except Ended:
            return

    async def _close(self, parent: Parent | None) -> None:
        """Send the result to the parent, and wait for handlers and calls."""
        if parent is not None:
            await tell_parent(parent, self._state)
        await workflow.wait_condition(lambda: workflow.all_handlers_finished() and self._calls.idle)

    async def _begin(self) -> None:
        if self._begun:
            return
        async with self._turn:
            opening = self._start.opening
            await self._step(
                lambda at: machine.begin(self._plan, opening, self._state, at if opening.secret else self._began),
                self._began,
            )
            self._begun = True

    async def _until_due(self) -> bool:
        """Wait until something is due (returns True) or an event has changed when that is (returns False)."""
        if self._start.timer_lead is not None:  # recorded first: a timer runs from the end of its workflow task
            await workflow.wait_condition(lambda: not self._turn.locked())
        armed = machine.next_due(self._plan, self._state)
        if armed is not None and armed - self._lead <= self._latest:
            return True
        wait = None if armed is None else max(armed - self._lead - workflow.now(), SHORTEST_WAIT)
        try:
            await workflow.wait_condition(
                lambda: (
                    not self._state.runs
                    or machine.next_due(self._plan, self._state) != armed
                    or self._may_continue_as_new()
                ),
                timeout=wait,
                timeout_summary=display.timer(self._state, armed) if armed else None,
            )
        except TimeoutError:
            return True
        return False

    async def _handle_due(self) -> None:
        async with self._turn:
            armed = machine.next_due(self._plan, self._state)
            if armed is None:
                return  # an event has settled it while this waited for its turn
            # An escalation reads the directory by a local activity, which marks the time as well.
            ahead = machine.due(self._plan, self._state, armed)
            if ahead.needs_directory:
                at = await self._read_directory(given=ahead.given, due=armed if self._lead else None)
            elif self._lead:
                at = await due_moment(armed)
            else:
                at = await moment()
            await self._step(lambda now: machine.due(self._plan, self._state, now), at)

    async def answered(self, event: Event) -> Answer:
        """Apply an event in its turn, record what it changed, and return how far the record goes."""
        at = workflow.now()
        self._accepted.append(at)
        try:
            await self._carry_out(event, at=at)
        except PlacetError as error:
            raise as_failure(error) from error
        finally:
            self._accepted.remove(at)
        return self._answer()

    async def _carry_out(self, event: Event, *, at: datetime | None = None) -> None:
        """Apply an event in its turn; `at` is its time, where history holds one already (see `_moment`)."""
        await workflow.wait_condition(lambda: self._begun)
        async with self._turn:
            if (stranger := self._stranger(event)) is not None:
                at = await self._read_directory(stranger)
            before = self._plan
            await self._apply(event, at or await moment())
            if isinstance(event, Migrate) and (self._state.directory_at == NEVER or lacks_loads(self._plan, before)):
                await self._read_directory()  # the new version names other people, or chooses them otherwise
                await self._record()

    async def _apply(self, event: Event, at: datetime) -> None:
        await self._step(lambda now: self._transition(event, now), at)

    def _transition(self, event: Event, now: datetime) -> Transition:
        """Apply an event; where the validator has just applied the same to the same, that is the result."""
        foreseen, self._foreseen = self._foreseen, None
        if foreseen is not None and foreseen.holds(self._plan, self._state, event, now):
            return foreseen.step
        return machine.apply(self._plan, self._state, event, now)

    async def _decide_signed(self, signed: SignedDecision) -> None:
        """Decide for the person of the token, or record why the signal is refused."""
        check = TokenCheck(token=signed.token, task_id=signed.task_id, decision=signed.decision, at=workflow.now())
        verdict: TokenVerdict = await local("verify_token", check, TokenVerdict)
        at = verdict.at or workflow.now()
        reason, why = verdict.reason, Reason(verdict.code) if verdict.code else None
        if verdict.person is not None:
            try:
                await self._apply(decision_of(signed, verdict), at)
            except PlacetError as error:
                reason, why = error.message, reason_of(error)
        if reason is not None:
            claimed = {"task_id": signed.task_id[:200], "decision": signed.decision, "person": verdict.person}
            await self._apply(SignalRefused(claimed=claimed, reason=reason, why=why), at)

    async def _verified(self, signed: SignedSubprocessResult) -> tuple[Event, datetime]:
        """Return the result of a sub-process or the refusal of a forged one, with a time that history holds."""
        event = ChildEnded(node=signed.node, visit=signed.visit, outcome=signed.outcome, output=signed.output)
        call = next((c for c in self._state.children if (c.node, c.visit) == (signed.node, signed.visit)), None)
        # Each sub-process has its own patch: an unsigned result in a history does not allow another unsigned one.
        if call is None or not workflow.patched(f"signed-{call.request_id}"):
            return event, await moment()  # the core ignores it where nobody waits for it
        claimed = {"node": signed.node, "visit": signed.visit, "outcome": signed.outcome}
        try:
            check_json(signed.output, "/output")  # a signal may be nested more deeply than an activity's input
        except InputInvalid as error:
            return SignalRefused(claimed=claimed, reason=error.message, why=reason_of(error)), await moment()
        ending = result_to_sign(signed, parent=self._state.request_id, child=call.request_id)
        check = SubprocessResultCheck(ending=ending, signature=signed.signature, at=workflow.now())
        verdict: SubprocessResultVerdict = await local("verify_ending", check, SubprocessResultVerdict)
        if verdict.code is None:
            return event, verdict.at
        why = Reason(verdict.code)
        return SignalRefused(claimed=claimed, reason=str(why), why=why), verdict.at

    async def _step(self, work: Callable[[datetime], Transition], at: datetime) -> None:
        """Let the core apply something, and carry its effects out before the next event."""
        step = work(self._now(at))
        while step.needs_directory:
            at = await self._read_directory(given=step.given)
            try:
                step = work(self._now(at))
            except PlacetError:
                # The directory may have reassigned tasks before the event was refused.
                if self._state.follows.records_directory_of_refusals:
                    await self._record()
                raise
        self._take(step)
        await self._record()
        self._calls.begin(self._state)

    def _now(self, at: datetime) -> datetime:
        """Return this time, or the latest event's time where that is later, so that times never decrease."""
        self._latest = max(self._latest, at)
        return self._latest

    def _stranger(self, event: Event) -> str | None:
        """Return the person who is to get a task, if the request's part of the directory lacks them."""
        if not isinstance(event, NamesPerson):
            return None
        person = person_id(event.to)
        # An invalid id is not looked up: a database may fail on it, and the activity would be retried for ever.
        return person if is_person(person) and person not in self._state.directory.people else None

    async def _read_directory(
        self, *also: str, given: dict[str, Any] | None = None, due: datetime | None = None
    ) -> datetime:
        """Read the directory, at `due` where that is about to come; return the time of that, which history holds."""
        given = self._state.input if given is None else given
        question = DirectoryQuery(
            names=tuple(str(name) for name in self._plan.names),
            people=tuple(dict.fromkeys([*self._state.people, *also])),
            given=given,
            at=workflow.now(),
            due=due,
            loads=self._plan.compares_loads,
        )
        found: DirectoryResult = await local("look_up", question, DirectoryResult, summary="who can be asked now")
        now = self._now(found.at or workflow.now())
        read = DirectoryRead(directory=found.directory, at=now, given=given)
        self._take(machine.apply(self._plan, self._state, read, now))
        return now

    def _take(self, step: Transition) -> None:
        self._state = step.state
        if step.plan is not None:
            self._go_on(step.plan, step.template_id or self._start.template_id)
        self._entries += step.entries
        self._unrecorded += step.entries
        self._notifications += step.notifications
        self._calls.want(step)

    def _go_on(self, plan: Plan, template_id: str) -> None:
        """Use another version from now on, also in the runs that continue this one as new."""
        self._plan = plan
        self._start = replace(self._start, plan=plan, template_id=template_id)
        self._calls.go_on(plan)

    async def _record(self) -> None:
        """Record what is new in one transaction, then update the Temporal Web UI."""
        if not self._unrecorded:
            return
        state, new = self._state, (self._unrecorded, self._notifications)
        recording = recording_of(self._plan, self._start.template_id, state, *new, stored=self._stored)
        self._unrecorded, self._notifications, self._stored = [], [], {task.id: task for task in state.tasks}
        kinds = ", ".join(dict.fromkeys(entry.kind for entry in recording.entries))
        # Histories of before have no result here.
        suggested: bool | None = await local(
            "record", recording, bool, summary=kinds[:200], in_history=replace(recording, in_history=True)
        )
        self._new_run_suggested = self._new_run_suggested or bool(suggested)
        self._show()

    def _show(self) -> None:
        if updates := display.changes(self._plan, self._state, workflow.info().typed_search_attributes):
            workflow.upsert_search_attributes(updates)
        workflow.set_current_details(display.details(self._plan, self._state))

    def _may_continue_as_new(self) -> bool:
        """Tell whether the next run may take over: the result of a running action can only be taken by this run.

        What the engine suggests changes with an activation, and not by an event of history. An update that is refused
        leaves no event, but has conditions looked at before a cancellation that came with it. So a recording says it.
        """
        if not self._start.suggestion_recorded:
            return workflow.info().is_continue_as_new_suggested() and self._calls.idle
        return self._new_run_suggested and self._calls.idle

    async def _continue_as_new(self) -> None:
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._state.runs and self._calls.idle:
            lead = TIMER_LEAD if self._start.timer_lead is None else self._start.timer_lead
            workflow.continue_as_new(replace(self._start, state=self._state, timer_lead=lead, suggestion_recorded=True))

    def _answer(self) -> Answer:
        state = self._state
        return Answer(seq=state.seq, head=state.head, status=state.status, outcome=state.outcome)
