"""What to do about a refusal that a page shows, by the type of its problem document.

Its title is the document's, from `api.http.problems`, in the reader's language. The detail comes from the core, which
speaks English; a page shows it below, for what it names.
"""

from __future__ import annotations

from typing import Any, Final

from api.http.authentication import FROM_ELSEWHERE, WITHOUT_MARK
from web.languages import Wording
from web.views.words import marked as _

ADVICE: Final[dict[str, str]] = {
    "key-reused": _("Open the form again, and send that."),
    "access-request-late": _("Ask for the access again."),
    "access-request-taken": _("Ask for the access again, if it is still needed."),
    "access-request-unknown": _("Look in your requests; what you may see is there."),
    "access-request-refused": _("The program that asked has to ask in another way; tell whoever runs it."),
    "callback-refused": _("Nothing was decided. Decide on the task's page instead."),
    "proof-refused": _("Nothing was decided. Confirm who you are once more."),
    "reauthentication-required": _("Open the task, and sign it there."),
    "not-permitted": _("If you need this, ask an administrator for the access."),
    "too-soon": _("Wait a while before you do this again."),
    "unknown-task": _("It may have ended or gone to somebody else. Your inbox shows what is open."),
    "unknown-question": _("Open the request again; it shows the questions that there are."),
    "not-found": _("It is not there, or you may not see it. Check the address."),
    "code-spent": _("Ask for a new one; it can be opened once."),
    "not-authenticated": _("Log in, and go on where you were."),
    "link-refused": _("Nothing was decided. Open the task in your inbox instead."),
    "already-decided": _("The decision that stands is on the task. Nothing else was recorded."),
    "content-changed": _("Read what changed, and decide about what it is now."),
    "returned": _("It comes back to you once it is sent in again."),
    "ended": _("It can not be changed any more. Open it to see how it ended."),
    "claim-refused": _("Open the request; it shows the action, and what became of its approval."),
    "refused": _("Open the request again, and see what it waits for."),
    "draft-changed": _("Open the draft again; it shows what others changed."),
    "conflict": _("Open the page again, and repeat what you wanted there."),
    "blueprint-invalid": _("Mend what is listed, and send it again."),
    "condition-invalid": _("Mend the condition, and send it again."),
    "evaluation-failed": _("Tell the owner of the process."),
    "input-invalid": _("Go back, mend what is named here, and send it again."),
    "too-much-work": _("Ask for less at once."),
    "drafting-failed": _("Say in other words what you want, or begin an empty draft."),
    "not-configured": _("An administrator can set it up; docs/drafting.md says how."),
    "too-large": _("Send a smaller file or a shorter text."),
    "type-not-allowed": _("Choose a file of a type that the form names."),
    "busy": _("Wait a moment, and try again. Nothing is lost."),
    "unavailable": _("Try again in a moment. Nothing is lost."),
}
"""What to do about each type; a test holds that every class of refusals is here."""
_CALLED: Final = {"key-reused": _("The form was used for something else")}
"""What is called otherwise on pages, whose readers know no keys."""
_NOT_OURS: Final[dict[str, tuple[str, str]]] = {
    WITHOUT_MARK: (
        _("This page is out of date"),
        _("What you sent did not carry the mark of your session, so nothing has happened. Go back, reload the page, "
          "and send it again."),
    ),
    FROM_ELSEWHERE: (
        _("This was sent by another site"),
        _("Nothing has happened. Open Placet itself, and do it there."),
    ),
}  # fmt: skip
"""What pages say of a form that did not come from one of them: its sender lacks no access."""
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
    if document["detail"] in _NOT_OURS:
        title, advice = _NOT_OURS[document["detail"]]
        return wording.say(title), wording.say(advice), None
    kind = str(document["type"]).rpartition(":")[2]
    if kind in ADVICE:
        return wording.say(_CALLED.get(kind, document["title"])), wording.say(ADVICE[kind]), document["detail"]
    known = _OF_STATUS.get(document["status"])
    if known is not None:
        return wording.say(known[0]), wording.say(known[1]), None
    return document["title"], None, document["detail"]
