"""What must hold after each step, and once everything is healed: read from history, the store, the mailbox and callers.

History is the sequential specification: the entries that the engine's history holds, in their order. Every answer must
agree with a point of it that lies between the question and the answer; what history does not hold has not happened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from temporalio.exceptions import ApplicationError

from activities.notifications.channels.channel import Message
from placet.audit.chain import Entry, first_bad, genesis, moment
from placet.engine.recording import Recording
from placet.engine.state import Notification
from placet.errors import AlreadyDecided, ClaimRefused, Ended, Gone, PlacetError
from storage.recording.recipients import ASKING
from storage.recording.verify import verify_rows
from tests.faults.engine import Run, Task
from tests.faults.processes.worker import Violation
from tests.faults.promises import CLOSING, EFFECTS, ENDINGS, effects_of, escalated_again, message_id
from workflows.approval import Answer

if TYPE_CHECKING:
    from tests.faults.processes.clients import Call
    from tests.faults.world import World

# Nobody was told what is `dropped`. That is right as long as the task is closed or somebody else's.
_UNTOLD = f"""
    SELECT dropped.request_id, dropped.key FROM outbox AS dropped
    JOIN approval_task ON approval_task.id = dropped.task_id
    WHERE dropped.status = 'dropped' AND dropped.event IN {ASKING!r}
    AND dropped.event != 'reminded' AND approval_task.status = 'open' AND approval_task.assignee = dropped.person
    AND NOT EXISTS (
        SELECT 1 FROM outbox AS later WHERE later.task_id = dropped.task_id AND later.person = dropped.person
        AND later.seq > dropped.seq AND later.status != 'dropped'
    )
"""


@dataclass(eq=False)
class Known:
    """What history holds of one request."""

    entries: list[Entry] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)  # of the entries
    notifications: list[Notification] = field(default_factory=list)
    recording: dict[tuple[str, int], int] = field(default_factory=dict)  # the seq of recordings underway, by activity
    stored: int = 0  # the seq up to which history says that it is recorded


class Checker:
    """Holds what was promised against what is there; every method raises Violation."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.known: dict[str, Known] = {}
        self.sent: dict[str, list[tuple[Any, int, float]]] = {}  # message id -> (process, copies restored, when)
        self._commits = -1

    def length(self, request_id: str) -> int:
        """Return how many entries history holds of a request."""
        return len(self.known[request_id].entries) if request_id in self.known else 0

    def completed(self, run: Run, task: Task) -> None:
        """Take what a task has made history; its entries must follow those before it.

        What an earlier task could not record, since a lost one had recorded, is recorded once more by this one.
        """
        known = self.known.setdefault(run.workflow_id, Known())
        for activity, recording in task.recordings:
            assert isinstance(recording, Recording)
            if recording.head in known.hashes:
                known.recording[run.run_id, activity] = recording.seq
                continue
            before = known.entries[-1].hash if known.entries else genesis(run.workflow_id)
            bad = first_bad(before, recording.entries, after=len(known.entries))
            if bad is not None:
                raise Violation(f"entry {bad} of {run.workflow_id} does not follow the entries of history before it")
            known.entries += recording.entries
            known.hashes += [entry.hash for entry in recording.entries]
            known.notifications += recording.notifications
            known.recording[run.run_id, activity] = recording.seq
            self._escalations(run.workflow_id, known.entries)
            self._standing(run.workflow_id, known.entries)
            self._claims(run.workflow_id, known.entries)
        for activity, value, _ in task.results:
            seq = known.recording.pop((run.run_id, activity), None)
            if seq is not None and not isinstance(value, ApplicationError):
                known.stored = max(known.stored, seq)

    def replayed(self, run: Run, entries: tuple[Entry, ...]) -> None:
        """A replay of a run computes the entries that history led to before."""
        known = self.known.get(run.workflow_id, Known()).entries
        for entry in entries:
            if entry.seq <= len(known) and known[entry.seq - 1].hash != entry.hash:
                raise Violation(f"a replay of {run.run_id} computes another entry {entry.seq}, at {entry.at}")

    def stored(self) -> None:
        """After a transaction: the store holds what history says, and its chains have no gaps."""
        store = self._world.store
        if store.commits == self._commits:
            return
        self._commits = store.commits
        chains: dict[str, list[str]] = {request_id: [] for request_id in self.known}
        for request_id, seq, hash_ in store.raw("SELECT request_id, seq, hash FROM audit_entry ORDER BY 1, 2"):
            chain = chains.setdefault(request_id, [])
            chain.append(hash_)
            if seq != len(chain) and request_id in self.known:
                raise Violation(f"the chain of {request_id} has gaps in the store: entry {seq} is at {len(chain)}")
        if self._world.trouble.stale is not None:
            return
        for request_id, known in self.known.items():
            chain = chains[request_id]
            if len(chain) < known.stored:
                raise Violation(f"the store has {len(chain)} entries of {request_id}; {known.stored} were recorded")
            if chain[: known.stored] != known.hashes[: known.stored]:
                other = next(n for n, hash_ in enumerate(chain) if hash_ != known.hashes[n])
                raise Violation(f"entry {other + 1} of {request_id} is another in the store than in history")
        for request_id, key in store.raw(_UNTOLD):
            if request_id in self.known:
                raise Violation(f"the notification {key} is dropped, and its task is open")

    def answered(self, call: Call, answer: Answer) -> None:
        """An answer names a point of history that is recorded, at or after the one effect of the call."""
        known = self.known.get(call.request_id, Known())
        if answer.seq > known.stored:
            raise Violation(f"{call.key} was answered with entry {answer.seq}, and {known.stored} are recorded")
        if known.entries[answer.seq - 1].hash != answer.head:
            raise Violation(f"{call.key} was answered with a head that entry {answer.seq} does not have")
        effects = self.effects(call)
        if type(call.event).__name__ in EFFECTS and len(effects) != 1:
            raise Violation(f"{call.key} was answered, and happened {len(effects)} times")
        if effects and not call.begun < effects[0].seq <= answer.seq:
            raise Violation(f"{call.key} happened at entry {effects[0].seq}, not between question and answer")

    def refused(self, call: Call, error: PlacetError) -> None:
        """A refusal because of what has been decided or has ended has its reason in history.

        A request ends by a decision that nobody can undo any more, also before the entry that says so.
        """
        kinds = {e.kind for e in self.known.get(call.request_id, Known()).entries}
        if isinstance(error, Ended) and not kinds & set(ENDINGS) and not self._cannot_be_undone(call.request_id):
            raise Violation(f"{call.key} was refused since the request has ended, and it has not")
        claimed_before = isinstance(error, ClaimRefused) and error.failure == "already_claimed"
        if claimed_before and not self._claimed(call.request_id):
            raise Violation(f"{call.key} was refused since the action was claimed, and it was not")
        if isinstance(error, AlreadyDecided):
            closed = [
                e
                for e in self.known[call.request_id].entries
                if e.task_id == getattr(call.event, "task_id", None) and e.kind in CLOSING
            ]
            if not closed:
                raise Violation(f"{call.key} was refused since the task is decided, and it is not")

    def _cannot_be_undone(self, request_id: str) -> bool:
        """Tell whether history holds a decision whose time to be undone has passed, and not yet that it stands."""
        until: dict[str | None, str] = {}
        for entry in self.known.get(request_id, Known()).entries:
            if "undo_until" in entry.detail:
                until[entry.task_id] = entry.detail["undo_until"]
            elif entry.kind in {"decision_undone", "decision_stands", "task_closed"}:
                until.pop(entry.task_id, None)
        return any(end <= moment(self._world.loop.now) for end in until.values())

    def told_of_claim(self, call: Call) -> None:
        """Of all callers at most one is told that the claim is theirs, which history holds, for what was approved."""
        if self._world.trouble.stale is not None:
            return
        claimed = self._claimed(call.request_id)
        if not call.claims[-1]:
            if any(call.claims):
                raise Violation(f"{call.key} was told that it has the claim, and then that it has not")
            return
        if len(claimed) != 1 or claimed[0].detail["action_digest"] != call.event.digest:
            raise Violation(f"{call.key} was told that it has the claim, and history does not hold that")
        if claimed[0].seq <= call.begun:
            raise Violation(f"{call.key} was told that it has the claim, which was made before it asked")
        for other in self._world.callers.calls:
            if other is not call and other.request_id == call.request_id and any(other.claims):
                raise Violation(f"{call.key} and {other.key} were both told that they have the claim")

    def effects(self, call: Call) -> list[Entry]:
        """List the entries that a call has led to itself."""
        entries = self.known[call.request_id].entries if call.request_id in self.known else []
        return effects_of(type(call.event).__name__, call.key, entries)

    def sending(self, process: Any, message: Message) -> None:
        """A message is about an entry that history holds, and was not sent before without a reason to doubt it.

        A process that stands still for longer than its lease may store that it has sent one once another has taken it.
        """
        known = self.known.get(message.request_id, Known())
        keys = ((f"{message.request_id}:{e.seq}:{message.event}:{message.person}", e) for e in reversed(known.entries))
        key = next((key for key, entry in keys if message_id(key, entry.hash) == message.id), None)
        if key is None:
            raise Violation(
                f"{message.person} is told {message.event} of {message.request_id}: history does not hold it"
            )
        for before, restored, at in self.sent.get(message.id, []):
            now = self._world.store.restored
            if before is None or not before.alive or restored != now or process.restored != now:
                continue  # each has taken the message from another copy of the rows, where copies took turns
            query = "SELECT 1 FROM notification_message WHERE key = ? AND status = 'sent' AND finished_at < ?"
            if self._world.store.raw(query, key, f"{process.began:%Y-%m-%d %H:%M:%S.%f}"):
                raise Violation(f"{message.person} is told {key} again, although it was recorded as sent")
            if self._world.loop.time() - at < self._world.lease:
                raise Violation(f"{message.person} is told {key} again by another process within the lease")

    def delivered(self, process: Any, message: Message) -> None:
        """Take note of a message that has reached its person; without a process nobody knows that it has.

        Rows that are restored between the leases of two processes give each its own, so the turn's beginning counts.
        """
        restored = self._world.store.restored if process is None else process.restored
        self.sent.setdefault(message.id, []).append((process, restored, self._world.loop.time()))

    def finally_holds(self) -> None:
        """Once everything is healed and quiet: nothing is lost, nothing is doubled, and everything verifies."""
        for request_id, known in self.known.items():
            self._rows(request_id, known)
            self._outbox(request_id, known)
        for call in self._world.callers.calls:
            effects = self.effects(call)
            refusals = [error for _, error in call.refusals if not isinstance(error, Gone)]
            if len(effects) > 1:
                raise Violation(f"{call.key} happened {len(effects)} times")
            if effects and refusals and not call.answers:
                raise Violation(f"{call.key} was refused ({refusals[0].message}), and happened")

    def _rows(self, request_id: str, known: Known) -> None:
        store = self._world.store
        rows = store.raw("SELECT hash FROM audit_entry WHERE request_id = ? ORDER BY seq", request_id)
        if [hash_ for (hash_,) in rows] != [e.hash for e in known.entries]:
            raise Violation(
                f"the store has {len(rows)} entries of {request_id}, history {len(known.entries)}, or others"
            )
        verdict = store.transaction(lambda connection: verify_rows(connection, request_id))
        if not verdict["ok"]:
            raise Violation(f"{request_id} does not verify: {verdict}")

        state = self._world.workers[0].query(self._world.engine.run_of(request_id), "state")
        held = {(task.id, task.status, task.assignee, task.decision) for task in state.tasks}
        query = "SELECT id, status, assignee, decision FROM approval_task WHERE request_id = ?"
        if set(store.raw(query, request_id)) != held:
            raise Violation(f"the tasks of {request_id} are others in the store than in the workflow")

        claim = state.claim
        ours = (None, None, None) if claim is None else (claim.status, claim.by, claim.key)
        query = "SELECT claim_status, claimed_by, claim_key FROM approval_request WHERE id = ?"
        if store.raw(query, request_id) != [ours]:
            raise Violation(f"the claim of {request_id} is another in the store than in the workflow")
        if bool(self._claimed(request_id)) is not (claim is not None and claim.status == "claimed"):
            raise Violation(f"the claim of {request_id} is another in the chain than in the workflow")

    def _outbox(self, request_id: str, known: Known) -> None:
        query = "SELECT key, seq, hash, event, status, person, task_id FROM outbox WHERE request_id = ?"
        rows = {row[0]: row[1:] for row in self._world.store.raw(query, request_id)}
        for notification in known.notifications:
            if notification.key not in rows:
                raise Violation(f"the notification {notification.key} is lost")
        for key, (seq, hash_, event, status, person, task_id) in rows.items():
            deciders = self._world.store.raw("SELECT decided_by FROM approval_task WHERE id = ?", task_id)
            if known.entries[seq - 1].hash != hash_:
                raise Violation(f"the notification {key} is about an entry that history does not hold")
            needless = event in ASKING or (event == "sla_breached" and (person,) in deciders)
            if status != "sent" and not (status == "dropped" and needless):
                raise Violation(f"the notification {key} is {status} at the end")
            if status == "sent" and message_id(key, hash_) not in self.sent:
                raise Violation(f"the notification {key} counts as sent, and nobody got it")

    def _claimed(self, request_id: str) -> list[Entry]:
        """List the entries of a request that say that its action was claimed."""
        entries = self.known[request_id].entries if request_id in self.known else []
        return [e for e in entries if e.kind == "claimed" and e.task_id is None]

    def _claims(self, request_id: str, entries: list[Entry]) -> None:
        """An action is claimed at most once, after the approval, before it expires, and as it was approved."""
        action = self._world.actions.get(request_id)
        for number, entry in enumerate(self._claimed(request_id)):
            before = entries[: entry.seq - 1]
            if number:
                raise Violation(f"the action of {request_id} was claimed a second time")
            if action is None or entry.detail["action_digest"] != action.digest:
                raise Violation(f"the claim of {request_id} is for another action than the approved one")
            if not any(e.kind == "completed" and e.detail["outcome"] == "approved" for e in before):
                raise Violation(f"the action of {request_id} was claimed and is not approved")
            if entry.at >= action.expires_at or any(e.kind == "claim_expired" for e in before):
                raise Violation(f"the action of {request_id} was claimed after it had expired")

    def _standing(self, request_id: str, entries: list[Entry]) -> None:
        """Nothing is undone after its time, and a decision stands once, at its time, unless it was undone."""
        until: dict[str | None, str] = {}
        for entry in entries:
            at = moment(entry.at)
            if "undo_until" in entry.detail:
                until[entry.task_id] = entry.detail["undo_until"]
            elif entry.kind == "decision_undone" and at >= until.pop(entry.task_id, ""):
                raise Violation(f"the decision on {entry.task_id} of {request_id} is undone after its time")
            elif entry.kind == "decision_stands" and at < until.pop(entry.task_id, "there is none"):
                raise Violation(f"the decision on {entry.task_id} of {request_id} stands and should not")

    def _escalations(self, request_id: str, entries: list[Entry]) -> None:
        if (said := escalated_again(entries)) is not None:
            raise Violation(f"{request_id}: {said}")
