"""Reasons: why something happened, as a code with parameters. The words are made when somebody reads them.

The audit chain hashes codes and parameters, so that no change of wording changes a hash. Older requests have the words
themselves in their chains, so a sentence that such a chain may hold never changes. To word one better, add a code;
tests/unit/test_reasons.py keeps every such sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from placet.audit.sealed import Sealed, erased, without_erased
from placet.sentences import Say, Sentence, shortened, translated

_LONGEST = 500  # characters of what went wrong elsewhere, as entries keep it
_ERASED = "(erased)"

_AT = "line {line}, column {column}: "  # of an expression's text

# What a code says. `cause`, another reason, is added after a colon where the sentence does not name it, and `then`,
# what follows, after a semicolon.
WORDS: dict[str, str] = {
    # stages and tasks
    "stage_settled": "the stage is {result}",
    "request_ended": "the request is {result}",
    "changes_requested": "changes were requested",
    "request_changed": "the request was changed",
    "no_round_left": "the request may not go back to its requester once more",
    "stood_still": "the request stood still while it was returned",
    "carried_over": "the approval of {task} is carried over",
    "branch_not_needed": "{node} has been reached by enough branches",
    "nobody_eligible": "nobody eligible among {names}",
    "approvers_not_chosen": "the approvers could not be determined: {cause}",
    "quorum_unreachable": "the quorum can no longer be met: {abstained} of {seats} abstained",
    "added_abstained": "whoever was added to the stage has abstained",
    "quorum_short": "fewer people are eligible than the quorum needs",
    "not_eligible_any_more": "{person} is not eligible any more",
    "left": "{person} has left",
    "others_enough": "the other approvals are enough",
    "one_of_several": "{count} people hold {to}; the nearest manager takes it",
    "queue_left": "everybody in the task's queue has left",
    "nobody_may_take": "{cause} and nobody may take the task",
    # why somebody may not have a seat, or was passed over; whose reason it is stands before it
    "own_request": "is the requester, and nobody decides their own request",
    "own_agent": "is whom the agent that asked acts for, and this process forbids deciding for one's own agent",
    "has_seat": "already fills another seat of this stage, and one person fills at most one",
    "not_there": "has left, or is not in the directory",
    "no_access": "does not have the access approver",
    "decided_elsewhere": "has decided another stage of this request, and this process forbids deciding twice",
    "away": "is away and has no substitute",
    "away_in_a_circle": "is away, and so is everybody who would stand in",
    "stood_in_for": "is away, and {substitute} stands in",
    "substitute_unfit": "is away, and {substitute}, who would stand in, {cause}",
    "stage_names_nobody": "nobody has this name now",
    "condition_not_met": "is asked under a condition that does not hold",
    "condition_failed": "is asked under a condition that could not be computed",
    "more_loaded": "has more open tasks than whoever was chosen, or as many and a later id",
    "nearer_chosen": "comes after whoever was chosen, who is nearer in the management chain",
    "has_task": "has the task already",
    "had_task": "has had the task before",
    # why somebody is asked, or not; whose reason it is stands before it (placet.audit.asking)
    "asked_by_name": "is asked because the stage asks {name}",
    "asked_for_absent": "is asked in place of {person}, who is away",
    "replaces": "is asked as {name}, in place of approvers who are missing",
    "asked_by_escalation": "is asked because nobody decided in time and the task escalated to {name}",
    "added_by_escalation": "is asked as well because nobody decided in time and the task escalated to {name}",
    "asked_after": "is asked as {name}, in place of somebody who can no longer have the task",
    "has_it_back": "has the task back",
    "reassigned_by": "was given the task by {by}",
    "delegated_by": "may decide because {by} delegated the task",
    "added_by": "was added to this stage by {by}",
    "took_it": "has taken the task out of its queue",
    "may_claim": "may claim the task, which waits in the queue {queue}",
    "still_decides": "is away and may still decide; {substitute} has the task meanwhile",
    "stands_in": "may decide in place of {person}, who is away",
    "has_decided": "has decided here already: {decision}",
    "task_escalated": "had the task until it escalated to {to}",
    "task_given_away": "had the task until {by} gave it to {to}",
    "claimed_by": "might have claimed the task; {by} has it now",
    "comes_later": "is asked once those who come before have decided",
    "not_named": "was not considered: the stage asks nobody by a name that stood for them",
    "not_listed": "is not among the {listed} people on record; {unlisted} more were passed over and are only counted",
    "not_on_record": "has no reason on record: the request began before choices were recorded",
    "deadline_of_version": "the deadline of version {version}",
    "cancelled_in_engine": "cancelled in the engine",
    # escalation
    "nobody_there": "nobody there may take the task",
    "to_the_manager": "escalates to the manager of whoever had the task",
    "absence_over": "the absence of {person} is over",
    "substitute_changed": "{person} has another substitute now, or none",
    "substitute_takes": "{person} takes it as a substitute",
    "next_above_takes": "nobody eligible at {to}; the next above takes it",
    "owner_takes": "nobody eligible at {to}; the owner takes it",
    "chain_ended": "the escalation chain has ended",
    "nothing_escalates": "the deadline has passed and nothing escalates",
    "nothing_approved": "nothing is approved for want of an approver",
    "reminders_go_on": "reminders go on",
    "final_rule_waits": "the final rule waits for the stage's other tasks",
    # the way through the process
    "moment_passed": "the moment has passed already",
    "endless": "the process comes back to {node} without anybody being asked",
    "too_many_visits": "the process has come to {node} {times} times",
    "leads_nowhere": "node {node} leads nowhere",
    "no_edge": "no edge leaves {node} on {result}",
    "wait_failed": "wait {node} could not begin: {cause}",
    "not_computed": "the message of node {node} could not be computed: {cause}",
    "decision_failed": "decision {node} could not be made: {cause}",
    "several_rules": "{count} rules of decision {node} fit, and only one may: {conditions}",
    "no_rule": "no condition of decision {node} holds, and it has no default",
    # actions and sub-processes
    "input_not_computed": "its input could not be computed: {cause}",
    "input_unfit": "its input does not fit: {cause}",
    "output_unfit": "what it returned does not fit: {cause}",
    "result_unfit": "what it came to does not fit: {cause}",
    "reported": "{error}",
    "unexplained": "it failed",
    "not_let_again": "the owner did not allow it to run again",
    "child_came_to": "the sub-process {request} is {outcome}",
    # what an expression could not be evaluated for
    "stored_form": _AT + "the stored expression has another form than this version reads; compile its text again",
    "nested_too_deep": _AT + "the expression is nested too deep; split it",
    "too_much_work": _AT + "this takes too much work on such long lists or texts; make it simpler or the input shorter",
    "variable_absent": _AT + "{variable!r} has no value; give one, or test {variable} != null first",
    "variable_unfit": _AT + "{variable!r} should be {type}: {cause}",
    "field_absent": _AT + "the field {field!r} is absent; give it, or test it with has() first",
    "field_unfit": _AT + "the field {field!r} should be {type}: {cause}",
    "no_item": _AT + "there is no item {index}; the list has {count}, counted from 0",
    "beyond_64_bits": _AT + "the whole number exceeds 64 bits; use a decimal variable",
    "inexact": _AT + "the exact result has more than 100 digits",
    "division_by_zero": _AT + "division by zero; test the divisor first",
    "number_too_large": _AT + "the number is too large",
    "text_too_long": _AT + "the text would be longer than {limit}",
    "list_too_long": _AT + "the list would be longer than {limit}",
    "call_failed": _AT + "{function}() has no result here: {cause}",
    "no_moment_here": _AT + "no moment is known here",
    "no_such_day_here": _AT + "there is no such day",
    "no_requester_here": _AT + "the requester is not known here",
    "no_day": "{value} is no day that a clock can be set to",
    "no_moment": "there is no date or moment to wait for",
    # what keeps a value from being what an expression takes it for
    "python_type": "a value of Python's type {type} was given",
    "exceeds_64_bits": "it exceeds 64 bits",
    "not_finite": "NaN, Infinity and numbers beyond 1e999 cannot be decided on",
    "too_large": "it is too large",
    "no_whole_number": "the text is no whole number such as 1234",
    "not_whole": "the number is not whole; round it first",
    "round_digits": "a number is rounded to 0 to {most} digits after the point",
    "empty_list": "the list is empty; test size(...) > 0 first",
    "no_time_zone": "it has no time zone",
    "absent_item": "an item of it is absent",
    # what a signal was refused for
    "refused": "this event may not be applied to the request as it stands",
    "not_permitted": "this person may not do this",
    "already_decided": "the task has already been settled",
    "overtaken": "the request has changed since it was read",
    "returned": "the request is with its requester for changes",
    "content_changed": "the request has been changed since it was seen",
    "ended": "the request has ended",
    "unknown_task": "the request has no such task",
    "reauthentication_required": "the decision is signed, and this way carries no fresh proof of who decides",
    "input_invalid": "the input does not match its declaration at {pointer}",
    "signal_values": "the signal carries {count} values; send one {shape}",
    "signal_shape": "the signal carries no {shape}; the fault is at {pointer}",
    "token_expired": "the token has expired",
    "token_not_signed_here": "the token was not signed here",
    "token_of_another_task": "the token is for another task",
    "token_of_another_decision": "the token is for another decision",
    "token_left": "the person whom the token was signed for has left",
    "token_without_access": "the person whom the token was signed for no longer has the access approver",
    "token_outdated": "the token was made by another version of Placet; ask for a new one",
    "token_rehearsal": "a rehearsal accepts no signed decisions",
    "handed_over": "the task has changed hands since the token was made",
    "ending_unsigned": "the result of the sub-process was not signed by a worker of this installation",
    "ending_forged": "the signed result belongs to another sub-process, or was signed elsewhere",
    "ending_shape": "there is no such outcome",
    # what keeps a value from being what a variable is declared as
    "unfit_at": "{pointer}: {cause}",
    "unfit_at_places": "{pointer}: {cause} (and {more} more)",
    "unfit": "this does not fit",
    "wrong_kind": "{needed} is needed, this is {found}",
    "unknown_name": "unknown name; there are: {known}",
    "value_required": "a value is required; give {type}",
    "object_needed": "an object with a value for each variable is needed",
    "too_few": "at least {least} {what} are needed, there are {count}",
    "too_many": "at most {most} {what} are allowed, there are {count}",
    "no_text": "U+0000 and halves of surrogate pairs are no text; remove them",
    "too_long_for_pattern": "the text is too long for its pattern; shorten it",
    "not_matching": "the text does not match {pattern}",
    "whole_number_needed": "a whole number is needed",
    "whole_number_too_large": "a whole number has at most 64 bits; the blueprint may declare a decimal",
    "too_many_digits": "the number is too long or too large; at most {digits} digits",
    "too_fine": "at most {scale} digits after the point are allowed; round it",
    "below_minimum": "at least {minimum} is needed",
    "above_maximum": "at most {maximum} is allowed",
    "not_a_choice": "choose one of: {choices}",
    "no_decimal": "write a plain decimal number such as 1234.56",
    "no_finite_number": "NaN and Infinity are no numbers to decide on",
    "no_such_day": "there is no such day",
    "no_date": "write a date as 2026-01-31",
    "no_such_moment": "there is no such moment",
    "no_timestamp": "write a moment with its offset, as 2026-01-31T09:00:00Z or 2026-01-31T09:00:00+01:00",
}
# Codes whose words end after so many characters, because something from elsewhere is in them.
_CUT = {"input_not_computed", "input_unfit", "output_unfit", "result_unfit", "reported", "unexplained"}
# Parameters that hold a word of the product: it is translated with the sentence.
_WORDS_IN = {"result", "outcome", "needed", "found", "what"}


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason: a code of `WORDS` and its parameters, which are JSON values, moments, other reasons, or Sealed."""

    code: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the words."""
        return words(self)


def because(code: str, **parameters: Any) -> Reason:
    """Make a reason from a code and its parameters; raises KeyError for a code that has no words."""
    WORDS[code]
    return Reason(code, parameters)


class InvalidValue(ValueError):
    """A value is invalid; the message is the words of `reason`."""

    def __init__(self, code: str, **parameters: Any) -> None:
        self.reason = because(code, **parameters)
        super().__init__(words(self.reason))


def words(reason: Reason) -> str:
    """Return the sentence of a reason; for an unknown code, the code and its parameters."""
    shown = {name: _shown(value) for name, value in reason.parameters.items()}
    source = WORDS.get(reason.code)
    if source is None:
        return ", ".join([reason.code.replace("_", " "), *(f"{name} {value}" for name, value in shown.items())])
    for name in _WORDS_IN & shown.keys():
        if type(shown[name]) is str:
            shown[name] = Sentence(shown[name], {}, shown[name])
    text: str = Sentence(source, shown)
    for name, added in (("cause", "{said}: {more}"), ("then", "{said}; {more}")):
        if name in shown and f"{{{name}}}" not in source:
            text = Sentence(added, {"said": text, "more": shown[name]})
    return shortened(text, _LONGEST) if reason.code in _CUT else text


def read_reason(written: object) -> Reason | None:
    """Return the reason in an entry's `why`; None where it holds a person's own words, or nothing."""
    if not isinstance(written, Mapping) or not isinstance(written.get("code"), str):
        return None
    return Reason(written["code"], {name: value for name, value in written.items() if name != "code"})


def why_of(detail: Mapping[str, Any], say: Say | None = None) -> str | None:
    """Return the words of an entry's `why`, a person's own or the product's; None where there are none.

    `say` translates the product's, and leaves a person's as they are.
    """
    why = detail.get("why")
    if isinstance(why, str):
        return why
    reason = read_reason(why)
    if reason is None:
        return None
    return words(reason) if say is None else translated(words(reason), say)


def personal_words(detail: Mapping[str, Any]) -> str | None:
    """Return the comment of the person who acted, from an entry's detail; None where there is none."""
    why = detail.get("why")
    return why if isinstance(why, str) else None


def detail_in_words(detail: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry's detail with `why` in words, as entries were before they held codes."""
    reason = read_reason(detail.get("why"))
    return dict(detail) if reason is None else {**detail, "why": words(reason)}


def readable_detail(detail: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry's detail as people read it: `why` in words, with its `code` and `parameters`.

    What was erased is null, and its places (JSON Pointers) are listed in `erased`. Who was passed over is not for
    everybody who may see the request, so it is left out (service.waiting.why says it).
    """
    reason = read_reason(detail.get("why"))
    told: dict[str, Any]
    told, gone = without_erased({name: value for name, value in detail.items() if name != "choice"})
    if reason is not None:
        parameters, _ = without_erased(dict(reason.parameters))
        told |= {"why": words(reason), "code": reason.code, "parameters": parameters}
    return told | {"erased": gone} if gone else told


class _Erased(Sentence):
    """Stands for an erased value, also where a sentence quotes it."""

    __repr__ = str.__str__


def _shown(value: Any) -> Any:
    if isinstance(value, Sealed):
        return _shown(value.value)
    if isinstance(value, Reason):
        return words(value)
    if erased(value):
        return _Erased(_ERASED, {})
    if (reason := read_reason(value)) is not None:
        return words(reason)
    if isinstance(value, list | tuple):
        return ", ".join(str(_shown(one)) for one in value)
    return value
