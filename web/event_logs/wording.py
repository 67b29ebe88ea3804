"""What states of event logs, kinds of activities and deviations of cases are called."""

from __future__ import annotations

from typing import Final

from web.views.words import marked

STATUSES: Final = {
    "running": (marked("Being read"), "open"),
    "completed": (marked("Read"), "good"),
    "failed": (marked("Failed"), "bad"),
}
ACTIVITIES: Final = {
    "start": marked("is sent in"),
    "approve": marked("approves"),
    "reject": marked("rejects"),
    "return": marked("returns for changes"),
    "visit": marked("is asked"),
    "outcome_approve": marked("approves the stage before"),
    "outcome_reject": marked("rejects the stage before"),
    "unclear": marked("does not say what was decided"),
    "draft": marked("left out: a draft"),
    "step": marked("left out: nobody's decision"),
}
"""What an activity is taken for, by its kind."""
DEVIATIONS: Final = {
    "no_decision": marked("Nobody decided"),
    "input_unfit": marked("Its values do not fit the fields"),
    "unknown_stage": marked("A stage that the process does not have"),
    "stage_skipped": marked("A stage was passed over"),
    "stage_not_asked": marked("A stage that is not asked there"),
    "stage_repeated": marked("A stage decided twice in a round"),
    "too_many_rounds": marked("Came back too often"),
    "after_the_end": marked("Went on after the end"),
    "does_not_end": marked("Ended while a stage is still asked"),
    "other_outcome": marked("Ended otherwise"),
}
MEANINGS: Final = {
    "no_decision": marked("the case was never sent in, or nobody decided"),
    "input_unfit": marked("its attributes do not fit the variables of the process"),
    "unknown_stage": marked("a stage decided that the process does not have"),
    "stage_skipped": marked("the process asks a stage that the case passed over"),
    "stage_not_asked": marked("a stage decided that the process does not ask there"),
    "stage_repeated": marked("a stage decided again in the same round"),
    "too_many_rounds": marked("the case came back more often than the process allows"),
    "after_the_end": marked("the case went on after the process had ended it"),
    "does_not_end": marked("the case ended, and the process still waits for a stage"),
    "other_outcome": marked("both end, with different outcomes"),
}
ROLES: Final = {
    "case": marked("Case"),
    "activity": marked("Activity"),
    "timestamp": marked("Time"),
    "person": marked("Person"),
    "lifecycle": marked("Transition"),
    "attributes": marked("Attributes"),
}
"""What a column of a file can be."""
ROLES_HELP: Final = {
    "case": marked("What tells one request from another, such as its number."),
    "activity": marked("What happened, such as “Approved by manager”."),
    "timestamp": marked("When it happened."),
    "person": marked("Who did it; may be left out."),
    "lifecycle": marked("Whether it began or ended; may be left out."),
    "attributes": marked(
        "What a request begins with, such as an amount. Leave out what is only known at the end: it explains "
        "everything, and is true of nothing."
    ),
}
