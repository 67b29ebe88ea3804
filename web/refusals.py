"""What refusals are called on pages, and what to do about each, by the type of its problem document.

The detail of a refusal comes from the core, which speaks English; a page shows it below, for what it names.
"""

from __future__ import annotations

from typing import Any, Final

from web.languages import Wording
from web.views.words import marked as _

REFUSALS: Final[dict[str, tuple[str, str]]] = {
    "key-reused": (_("The form was used for something else"), _("Open the form again, and send that.")),
    "proof-refused": (_("Not proven who you are"), _("Nothing was decided. Confirm who you are once more.")),
    "reauthentication-required": (_("The decision has to be signed"), _("Open the task, and sign it there.")),
    "not-permitted": (_("Not permitted"), _("If you need this, ask an administrator for the access.")),
    "too-soon": (_("Too soon after the last time"), _("Wait a while before you do this again.")),
    "unknown-task": (
        _("No such task"),
        _("It may have ended or gone to somebody else. Your inbox shows what is open."),
    ),
    "unknown-question": (_("No such question"), _("Open the request again; it shows the questions that there are.")),
    "not-found": (_("Not found"), _("It is not there, or you may not see it. Check the address.")),
    "code-spent": (_("The address was used or has expired"), _("Ask for a new one; it can be opened once.")),
    "not-authenticated": (_("Not logged in"), _("Log in, and open the page again.")),
    "link-refused": (_("The link decides nothing"), _("Nothing was decided. Open the task in your inbox instead.")),
    "already-decided": (_("Already decided"), _("The decision that stands is on the task. Nothing else was recorded.")),
    "content-changed": (_("The request has changed"), _("Read what changed, and decide about what it is now.")),
    "returned": (_("The request waits for its requester"), _("It comes back to you once it is sent in again.")),
    "ended": (_("The request has ended"), _("It can not be changed any more. Open it to see how it ended.")),
    "refused": (
        _("Not possible in the request's current state"),
        _("Open the request again, and see what it waits for."),
    ),
    "draft-changed": (_("The draft has changed"), _("Open the draft again; it shows what others changed.")),
    "conflict": (_("Conflict"), _("Open the page again, and repeat what you wanted there.")),
    "blueprint-invalid": (_("The blueprint is invalid"), _("Mend what is listed, and send it again.")),
    "condition-invalid": (_("The condition is invalid"), _("Mend the condition, and send it again.")),
    "evaluation-failed": (_("A condition could not be evaluated"), _("Tell the owner of the process.")),
    "input-invalid": (_("The input is invalid"), _("Go back, mend what is named here, and send it again.")),
    "too-much-work": (_("Too much work"), _("Ask for less at once.")),
    "too-large": (_("What was sent is too large"), _("Send a smaller file or a shorter text.")),
    "type-not-allowed": (_("The type of the file is not taken"), _("Choose a file of a type that the form names.")),
    "busy": (_("Too many calls for now"), _("Wait a moment, and try again. Nothing is lost.")),
    "unavailable": (_("Temporarily unavailable"), _("Try again in a moment. Nothing is lost.")),
}
"""Title and advice for each type; a test holds that every class of refusals is here."""
_OF_STATUS: Final[dict[int, tuple[str, str]]] = {
    404: (_("Not found"), _("There is no page at this address. Check the address, or start from the first page.")),
    405: (_("Not possible here"), _("This address does not take what was sent. Go back and reload the page.")),
    408: (_("Not complete"), _("The connection was closed before the form was complete. Send it again.")),
    500: (
        _("Something went wrong"),
        _("An unexpected error occurred and was logged. Try again; if it happens again, tell the operator."),
    ),
}


def told(document: dict[str, Any], wording: Wording) -> tuple[str, str | None, str | None]:
    """Return how a page shows a problem document: its title, what to do, and the detail where it says more."""
    known = REFUSALS.get(str(document["type"]).rpartition(":")[2])
    if known is not None:
        return wording.say(known[0]), wording.say(known[1]), document["detail"]
    known = _OF_STATUS.get(document["status"])
    if known is not None:
        return wording.say(known[0]), wording.say(known[1]), None
    return document["title"], None, document["detail"]
