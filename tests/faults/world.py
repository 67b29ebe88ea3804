"""The world of one schedule: processes, of which one thing happens after the other, as the choices say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from activities.notifications.channels.channel import Message
from placet.engine.bound_action import BoundAction
from placet.engine.events import Actor, Decide, Resubmit
from tests.faults import scenario
from tests.faults.checker import Checker
from tests.faults.choices import Choices
from tests.faults.engine import TASK_TIMEOUT, Engine, Run, Task
from tests.faults.processes import clients
from tests.faults.processes.by_reference import ByReference
from tests.faults.processes.database import Store
from tests.faults.processes.notices import SETTINGS, Courier
from tests.faults.processes.worker import Attempt, Violation, Worker
from tests.faults.trouble import Trouble
from tests.faults.virtual_time import VirtualLoop

STEPS = 150  # of the part of a schedule in which things go wrong
MOST_STEPS = 12_000  # until everything has to be quiet after that
HEALED_WITHIN = 6 * 3600.0  # virtual seconds after healing in which every request ends and every notification leaves
LEAVES_WITHIN = 3600.0  # virtual seconds after healing in which a notification leaves, or is found needless
LONGEST_PAUSE = 20.0  # seconds that a transaction, a query or a mail takes at most
REQUESTS = 3
DECIDES_AGAIN = 30.0  # seconds after which people decide what is still open once all is healed, then twice as many
LOOKS_AGAIN = 60.0  # seconds after which a courier looks at the latest while things go wrong
SELDOM = 600.0  # seconds after which people and couriers look at the latest once all is healed
_UNSENT = "SELECT key FROM outbox WHERE status IN ('held', 'ready')"

Action = tuple[Any, ...]
"""Something that can happen: a function, and what it is called with."""


@dataclass(eq=False)
class Seam:
    """A place where a process waits for the world: a transaction, a question to the engine, or a mail."""

    process: Any
    what: str
    kind: str  # `read`, `write`, `ask`, `send`
    done: asyncio.Future[Any]
    since: float
    about: Any = None
    slow: bool = False  # it ends only after LONGEST_PAUSE, whatever happens meanwhile


class World:
    """All processes, the engine, the store and the people of one schedule."""

    def __init__(
        self,
        choices: Choices,
        *,
        for_machines: bool = False,
        slow_store: bool = False,
        tasks_fail: bool = False,
        late_histories: float = 0,
        trace: list[str] | None = None,
    ) -> None:
        """`slow_store` is a store in which some transactions take longer than a workflow task may.

        A worker may find that its task was lost while it fetched the history for it: `late_histories` times as often
        as the schedule's other faults.
        `tasks_fail` is for Trouble.
        """
        self.choices = choices
        self.trace = trace
        self.loop = VirtualLoop()
        self.converter = ByReference()
        self.store = Store()
        self.engine = Engine(self.loop)
        self.checker = Checker(self)
        self.engine.on_complete = self.checker.completed
        self.seams: list[Seam] = []
        self.late: list[tuple[Worker, Attempt, Task, int]] = []
        self.faulty = True
        self.replayed: dict[str, Attempt] = {}  # by run id, for questions about a run that no worker has at hand
        self.faults = 0
        self._for_machines = for_machines
        self._slow_store = slow_store
        self._late_histories = late_histories
        self.trouble = Trouble(self, tasks_fail=tasks_fail)
        self.actions: dict[str, BoundAction] = {}  # by request, what each asks for where machines ask
        self.steps = 0
        self.lease = SETTINGS.notify_lease
        self.patience = TASK_TIMEOUT * 0.8
        self._names = 0
        self._looked_at, self._looks = -1, 0
        self._rate = (0.0, 0.005, 0.015, 0.04)[choices.number(4)]
        self.anything_fails = self._rate > 0 or choices.replays
        self._longest = (1_000, 1, 2)[choices.number(3)]  # tasks of a run, after which it is to continue as new
        self._calls_left = (3, 8, 16)[choices.number(3)]
        with self.loop.running():
            self.workers = [Worker(self, f"worker {n}") for n in (1, 2)]
            self.couriers = [Courier(self, f"courier {n}") for n in (1, 2)]
            self.callers = clients.Callers(self)

    # What the processes ask of the world

    def payload(self, value: Any) -> Any:
        """Return a payload that stands for a value."""
        return self.converter.to_payloads([value])[0]

    def value(self, payload: Any) -> Any:
        """Return the value of a payload."""
        return self.converter.from_payloads([payload])[0]

    def note(self, text: str) -> None:
        """Add a line to the trace."""
        if self.trace is not None:
            self.trace.append(f"{self.loop.now:%d %H:%M:%S.%f} {text}"[:200])

    def fault(self, text: str, rate: float = 1.0) -> bool:
        """Tell whether a fault happens now; none does once the world is healed."""
        if not self.faulty or not self.choices.happens(self._rate * rate):
            return False
        self.faults += 1
        self.note(f"! {text}")
        return True

    def fetches_late(self, worker: Worker, run: Run) -> bool:
        """Tell whether a worker that has been given a task has to wait for the history of the run."""
        return self._late_histories > 0 and self.fault(
            f"{worker.name} waits for the history of {run.run_id}", self._late_histories
        )

    def suggests(self, run: Run) -> bool:
        """Tell whether the engine suggests to continue as new."""
        return len(run.history) > self._longest

    async def pause(self, process: Any, what: str, writes: bool) -> str:
        """Wait for a transaction's turn, and return its fate."""
        fate: str = await self._wait(process, what, "write" if writes else "read")
        return fate

    async def pause_to_send(self, process: Any, message: Message) -> str:
        """Wait until a mail is handed over, and return its fate."""
        fate: str = await self._wait(process, f"mail {message.event} to {message.person}", "send", message)
        return fate

    async def pause_to_ask(self, process: Any, request_id: str) -> tuple[int, str] | None:
        """Ask the engine how far its history goes."""
        answer: tuple[int, str] | None = await self._wait(process, f"ask about {request_id}", "ask", request_id)
        return answer

    async def pause_to_tell(self, process: Any, request_id: str) -> None:
        """Tell a request that more of it is stored than history holds."""
        if process.alive:
            self.note(f"{process.name} tells {request_id} that the store is ahead")
            self.engine.signal(request_id, "store_ahead", None)

    async def _wait(self, process: Any, what: str, kind: str, about: Any = None) -> Any:
        done: asyncio.Future[Any] = self.loop.create_future()
        if not process.alive:  # what is dead waits for ever
            self.trouble.buried.append(done)
        else:
            slow = self._slow_store and kind == "write" and self.fault(f"{process.name}: {what} takes long", 8)
            self.seams.append(Seam(process, what, kind, done, self.loop.time(), about, slow))
        return await done

    def takes_long(self, worker: Worker, attempt: Attempt, task: Task, parts: int) -> None:
        """Note that a task has been going on for most of its time."""
        if worker.alive and attempt.task is task and task.parts == parts and attempt.run.holder is attempt:
            self.late.append((worker, attempt, task, parts))

    # One schedule

    def run(self) -> None:
        """Let things happen and go wrong, then heal everything; raises Violation."""
        for number in range(1, 1 + REQUESTS if self.choices.happens(0.5) else 2):
            request_id, at = f"r{number}", self.loop.now
            if self._for_machines:
                self.actions[request_id] = scenario.action_of(request_id, at)
            process = self.choices.number(len(scenario.PROCESSES))
            self.engine.start(scenario.start_of(request_id, process, at, action=self.actions.get(request_id)))
        for _ in range(STEPS):
            self.step()
        self.heal()

    def step(self, actions: Sequence[Action] | None = None) -> None:
        """Let one thing happen, and check what must hold; `actions` are what can happen, where that is known."""
        self.steps += 1
        self.loop.settle()
        self.seams = [seam for seam in self.seams if not seam.done.done()]  # what was cancelled is not waited for
        if self.faulty:
            self.trouble.happens()
        if actions is None:
            actions = self._actions()
        only_calls = len(actions) == 1 and self.faulty and self._calls_left > 0
        passes = self.faulty and self.choices.happens(0.4 if only_calls else 0.08)
        if actions and not passes:
            act, *given = actions[self.choices.number(len(actions))] if self.faulty else actions[0]
            if self.trace is not None:
                self.note(self._label(act, given))
            act(*given)
        else:
            self._let_time_pass()
        self.loop.settle()
        self._raise_errors()
        self.checker.stored()

    def heal(self) -> None:
        """End all faults; every request must end, and every notification must leave, within HEALED_WITHIN."""
        self.note("everything is healed")
        self.faulty = False
        self.trouble.ends()
        everything = self.choices.happens(0.5)  # callers that were answered may not know, and ask again
        for call in self.callers.calls:
            if everything or not (call.answers or call.refusals):
                self.callers.repeat(call)
        waits = self.loop.time() + (0, 5 * 3600)[self.choices.number(2)]  # people take their time, and deadlines pass
        self.loop.call_at(waits, self.note, "people decide what is open")
        end = waits + HEALED_WITHIN
        number = 0
        unsent: dict[str, float] = {}
        self.loop.settle()
        actions = self._actions()
        if not actions and not self.callers.underway and self.loop.time() >= waits:
            number += 1  # before a day passes, on which nobody has decided
            self._decide_everything(number)
            actions = None
        for _ in range(MOST_STEPS):
            self.step(actions)
            actions = self._actions()
            if actions:
                continue
            actions = None
            self._notifications_leave(unsent)
            if not self.engine.open_runs and not self.callers.underway and not self.store.undelivered:
                self.checker.finally_holds()
                return
            if self.loop.time() > end:
                break
            if not self.callers.underway and self.loop.time() >= waits:
                number += 1
                self._decide_everything(number)
                waits = self.loop.time() + min(SELDOM, DECIDES_AGAIN * 2 ** (number - 1))
                self.loop.call_at(waits, self.note, "people look again")
        left = [run.run_id for run in self.engine.open_runs]
        raise Violation(f"not quiet within {HEALED_WITHIN} s after healing: open {left}; {self._outbox_left()}")

    def close(self) -> None:
        """Forget everything."""
        with suppress(Exception):
            for worker in self.workers:
                worker.kill()
            for attempt in self.replayed.values():
                attempt.end()
        self.loop.set_exception_handler(lambda *_: None)
        with self.loop.running():
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
        for _ in range(5):
            self.loop.settle()
        self.seams.clear()
        self.loop.close()

    # What can happen

    def _actions(self) -> list[Action]:
        actions: list[Action] = [
            (self._resume, seam)
            for seam in self.seams
            if not (seam.slow or seam.done.done()) and (seam.kind != "ask" or self._can_be_asked(seam.about))
        ]
        actions += [(self._takes_long, *late) for late in self.late]
        for worker in self.workers:
            for attempt in worker.attempts.values():
                if attempt.task is None:
                    continue
                if attempt.fetching is not None:
                    actions += self._while_fetching(worker, attempt)
                elif attempt.results:
                    actions.append((worker.resolve, attempt))
                elif not attempt.waiting:
                    actions.append((worker.complete, attempt))
        actions += [(self._begin, run) for run in self.engine.open_runs if run.ready]
        if self.store.undelivered:
            actions += [(courier.begin,) for courier in self._couriers() if courier.idle and self._has_work(courier)]
        if self.faulty and self._calls_left:
            actions.append((self._somebody_calls,))
        return actions

    def _while_fetching(self, worker: Worker, attempt: Attempt) -> list[Action]:
        """List what can happen to a task whose worker waits for the history: it comes, or the task is lost before."""
        run = attempt.run
        if run.holder is attempt:
            return [(worker.fetched, attempt), *([(self._loses_unfetched, attempt)] * 2 if self.faulty else [])]
        given_out_again = run.task is not None or run.end is not None or len(run.history) != attempt.fetching
        return [(worker.fetched, attempt)] if given_out_again else []

    def _label(self, act: Callable[..., None], given: Sequence[Any]) -> str:
        """Say what happens now."""
        name = act.__name__
        who: Any = getattr(act, "__self__", self)
        about: Any = given[0] if given else None
        labels: dict[str, Callable[[], str]] = {
            "_resume": lambda: f"{about.process.name}: {about.what}",
            "_takes_long": lambda: f"a task of {given[1].run.run_id} takes long",
            "resolve": lambda: f"{who.name}: results for {about.run.run_id}",
            "fetched": lambda: f"{who.name} has the history of {about.run.run_id}",
            "_loses_unfetched": lambda: f"the engine loses a task of {about.run.run_id}",
            "complete": lambda: f"{who.name}: completes a task of {about.run.run_id}",
            "_begin": lambda: f"a task of {about.run_id} begins",
            "begin": lambda: f"{who.name} looks",
            "_somebody_calls": lambda: "somebody calls",
        }
        return labels[name]()

    def _begin(self, run: Run) -> None:
        holders = [w for w in self.workers if (a := w.attempts.get(run.run_id)) and a.applied == len(run.history)]
        others = [w for w in self.workers if w not in holders]
        which = self.choices.number(len(self.workers), calm=0.9) if self.faulty else 0
        worker = (holders + others)[which]
        busy = worker.attempts.get(run.run_id)
        if busy is not None and busy.task is not None:  # of a task that it no longer has
            worker.evict(busy)
        worker.begin(run)

    def _resume(self, seam: Seam) -> None:
        if seam in self.seams:
            self.seams.remove(seam)
        if seam.kind == "ask":
            seam.done.set_result(self._asked(seam.about))
            return
        fate = "done"
        if seam.kind == "send":
            self.checker.sending(seam.process, seam.about)
        if self.fault(f"{seam.process.name}: {seam.what} fails", 2):
            fate = "failed"
        elif seam.kind != "read" and self.fault(f"{seam.process.name}: the answer to {seam.what} is lost", 2):
            fate = "unanswered"
        if seam.kind == "send" and fate != "failed":
            self.checker.delivered(seam.process if fate == "done" else None, seam.about)
        seam.done.set_result(fate)

    def _can_be_asked(self, request_id: str) -> bool:
        run = self.engine.run_of(request_id)
        return run.task is None and bool(run.history)

    def _asked(self, request_id: str) -> tuple[int, str] | None:
        if not self._can_be_asked(request_id):
            return None
        answer = self.workers[0].query(self.engine.run_of(request_id), "recorded")
        return answer.seq, answer.head

    def _takes_long(self, worker: Worker, attempt: Attempt, task: Task, parts: int) -> None:
        self.late.remove((worker, attempt, task, parts))
        if not worker.alive or attempt.task is not task or attempt.run.holder is not attempt:
            return
        if attempt.fetching is not None or self.fault(f"{worker.name} says nothing about {attempt.run.run_id}", 3):
            self.loop.call_later(TASK_TIMEOUT - self.patience, self.lose, attempt.run, attempt, task)
        else:
            worker.split(attempt)

    def _loses_unfetched(self, attempt: Attempt) -> None:
        """Have the engine forget a task, as where its own database fails."""
        self.engine.lose_task(attempt.run, cut_off=self.choices.happens(0.5))

    def lose(self, run: Run, holder: Any, task: Task) -> None:
        """Have the engine give up a task, unless another attempt has it by now."""
        if run.task is task and run.holder is holder:
            self.note(f"the engine gives up a task of {run.run_id}")
            self.engine.lose_task(run, cut_off=self.fault("its updates are cut off", 10))

    def _somebody_calls(self) -> None:
        self._calls_left -= 1
        requests = list(self.engine.runs)
        request_id = self.choices.one(requests)
        what = self.choices.number(12)
        if what < 7:
            self._names += 1
            event = clients.event_for(self, request_id, f"k{self._names}k")
            about = getattr(event, "task_id", request_id)
            self.note(f"  {type(event).__name__} {about} {event.by.person} ({event.key})")
            call = self.callers.begin(request_id, event)
            if self.fault("the caller sends it twice", 3):
                self.callers.repeat(call)
        elif what == 7:
            self.engine.signal(request_id, "decide", clients.signed_decision(self, request_id))
        elif what == 8:
            self.engine.signal(request_id, "directory_changed", None)
        elif self.callers.calls and not self.choices.happens(0.2):
            call = self.choices.one(self.callers.calls)
            self.note(f"  once more {call.key}")
            self.callers.repeat(call)
        elif self.fault("cancelled in the engine", 5):
            self.engine.cancel(request_id)

    def _couriers(self) -> list[Courier]:
        """List the couriers; once all is healed each looks in its turn, for both would find the same."""
        return self.couriers if self.faulty else sorted(self.couriers, key=lambda courier: courier.seen)

    def _has_work(self, courier: Courier) -> bool:
        commits, at = courier.seen if self.faulty else max(each.seen for each in self.couriers)
        return commits != self.store.commits or self.loop.time() >= at + 1

    def _let_time_pass(self) -> None:
        timer = self.loop.next_timer()
        earliest = min((seam.since + LONGEST_PAUSE for seam in self.seams), default=None)
        if earliest is not None and (timer is None or earliest <= timer):
            seam = min(self.seams, key=lambda s: s.since)
            self.loop.advance(earliest)
            self.note(f"{seam.process.name}: {seam.what}, at last")
            self._resume(seam)
            return
        soon = None if not self.store.undelivered else self.loop.time() + self._look_again()
        if self.faulty and not self.seams and self.choices.happens(0.4):
            due = [t.when() for run in self.engine.open_runs for t in run.timers.values()]
            timer, soon = min(due, default=timer), None
            self.note("hours pass")
        moments = [moment for moment in (timer, soon) if moment is not None]
        if moments:
            self.loop.advance(min(moments))

    def _look_again(self) -> float:
        """Return how many seconds to wait for the couriers: ever more while nothing is stored."""
        if self._looked_at != self.store.commits:
            self._looked_at, self._looks = self.store.commits, 0
        self._looks += 1
        return min(LOOKS_AGAIN if self.faulty else SELDOM, 2.0**self._looks)

    # After healing

    def _decide_everything(self, number: int) -> None:
        for run in self.engine.open_runs:
            query = "SELECT id, assignee FROM approval_task WHERE request_id = ? AND status = 'open' ORDER BY rowid"
            tasks = self.store.raw(query, run.workflow_id)
            if self.store.raw("SELECT 1 FROM approval_request WHERE id = ? AND claim_status = 'open'", run.workflow_id):
                self.callers.begin(
                    run.workflow_id, clients.claim_for(self, run.workflow_id, f"claim{number}-{run.workflow_id}")
                )
                continue
            for task_id, assignee in tasks:
                key = f"end{number}-{task_id}"
                by = Actor(person=assignee or "mo")
                event = Decide(by=by, task_id=task_id, decision="approve", comment=key, key=key)
                self.callers.begin(run.workflow_id, event)
            if not tasks:
                key = f"again{number}-{run.workflow_id}"
                by = Actor(person=scenario.REQUESTER)
                self.callers.begin(run.workflow_id, Resubmit(by=by, comment=key, key=key))

    def _notifications_leave(self, unsent: dict[str, float]) -> None:
        """Raise Violation where a notification waits for long; `unsent` are those of before, and since when."""
        now = self.loop.time()
        keys = [key for (key,) in self.store.raw(_UNSENT)] if self.store.undelivered else []
        for key in unsent.keys() - set(keys):
            del unsent[key]
        for key in keys:
            if now > unsent.setdefault(key, now) + LEAVES_WITHIN:
                raise Violation(f"{key} has not left within {LEAVES_WITHIN} s")

    def _outbox_left(self) -> list[tuple[Any, ...]]:
        return self.store.raw("SELECT key, status FROM outbox WHERE status IN ('held', 'ready') LIMIT 3")

    def _raise_errors(self) -> None:
        if self.loop.errors:
            context = self.loop.errors[0]
            error = context.get("exception")
            if isinstance(error, Violation):
                raise error
            raise Violation(f"{context.get('message')}: {error!r}")
