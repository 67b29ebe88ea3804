"""A decision that somebody takes in a chat: by the same rules as everywhere, and for the task as they saw it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from activities.decision_tokens import ButtonTokens, LinkClaims, LinkDecision
from languages.catalogues import LANGUAGES, SOURCE, Language, say_in
from placet.errors import (
    AlreadyDecided,
    Busy,
    ContentChanged,
    Ended,
    HandedOver,
    InputInvalid,
    LinkRefused,
    PlacetError,
    ReauthenticationRequired,
    Returned,
    Unavailable,
)
from placet.sentences import sentence, translated
from service.chat.members import Member, person_of
from service.context import Context
from service.decision_links import decide_by_link, open_link
from service.principal import ACCESS
from storage.queries.people import people

_DECIDES: Final = frozenset(ACCESS) - {"auditor"}
Result = Literal["decided", "decided_before", "refused"]
_DONE: Final[dict[str, str]] = {"approve": sentence("Approved"), "reject": sentence("Rejected")}
_LONGEST_COMMENT: Final = 4_000  # characters, as on a page
_ON_PAGE = sentence("Nothing was decided; write a comment, or open the task and decide there.")
_SPENT: Final[dict[str, str]] = {
    "unreadable": sentence("This was not made by this Placet, or was changed on its way. Nothing was decided."),
    "expired": sentence("This button has expired. Nothing was decided; open the task and decide there."),
    "unmapped": sentence(
        "Placet does not know who you are here, and nothing was decided. Ask an admin to link your account, or have "
        "the address that the chat has verified entered in Placet."
    ),
    "other_person": sentence("This was sent to somebody else, and nothing was decided: it decides for them alone."),
    "left": sentence("You are not active in Placet any more. Nothing was decided."),
    "unknown": sentence("The task is not there any more, or is not yours. Nothing was decided."),
    "off": sentence("Tasks of this stage are not decided in a chat. Nothing was decided; open the task."),
    "handed_over": sentence(
        "The task has changed hands since this was sent, or a decision was undone. Nothing was decided; open the task."
    ),
}
# Why the core refuses what is too late, or not for a chat.
_CODES: Final[tuple[tuple[type[PlacetError], str], ...]] = (
    (AlreadyDecided, "decided"),
    (Ended, "closed"),
    (Returned, "returned"),
    (ContentChanged, "changed"),
    (HandedOver, "handed_over"),
    (ReauthenticationRequired, "sign"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenTask:
    """A task as somebody saw it: its id, its round, and the revision of the request."""

    id: str
    round: int
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a press or of a command: what to tell, in the person's language.

    `code` says why it was refused, and `reason` the same in English, for the record; `error` is the refusal of the core
    or of the engine, where it came so far.
    """

    result: Result
    text: str
    code: str = ""
    decision: str | None = None
    task_id: str | None = None
    person: str | None = None
    title: str = ""
    language: Language = SOURCE
    reason: str = ""
    error: PlacetError | None = None


async def press(context: Context, member: Member, token: str, *, comment: str | None, secret: str) -> Answer:
    """Take the decision of a button; what is refused is an answer too. Raises Unavailable and Busy.

    The same button counts once, however often it is pressed or its press is sent.
    """
    await context.rate_limits.decisions.count(member.name)
    claims = ButtonTokens(secret, context.now).read(token)
    if claims is None:
        return _refused(context, "unreadable")
    person = await person_of(context, member)
    if person is None:
        return _refused(context, "unmapped", task_id=claims.task_id)
    if person != claims.person:
        return _refused(context, "other_person", task_id=claims.task_id, person=person)
    return await _take(context, member, token, claims, comment)


async def command(
    context: Context,
    member: Member,
    decision: LinkDecision,
    seen: SeenTask,
    *,
    comment: str | None,
    call_id: str,
) -> Answer:
    """Take a decision that somebody has written, on a task as they saw it; as `press`.

    The same call (by its id) counts once.
    """
    await context.rate_limits.decisions.count(member.name)
    person = await person_of(context, member)
    if person is None:
        return _refused(context, "unmapped", task_id=seen.id)
    claims = LinkClaims(
        person=person,
        task_id=seen.id,
        round=seen.round,
        hand_overs=None,
        revision=seen.revision,
        decision=decision,
        signed_at=context.now(),
    )
    return await _take(context, member, call_id, claims, comment)


async def _take(context: Context, member: Member, token: str, claims: LinkClaims, comment: str | None) -> Answer:
    """Take a decision of a person who is known, unless it is too late, or never was theirs."""
    stored = await context.database.read(people.find, claims.person)
    language = _language_of(context, None if stored is None else stored.preferences)
    about: dict[str, Any] = {"task_id": claims.task_id, "person": claims.person, "language": language}
    try:
        link = await open_link(context, token, claims)
    except LinkRefused as error:
        return _refused(context, error.code, **about)
    about["title"] = link.request.request.title
    if link.spent == "used":
        done = say_in(language)(_DONE[claims.decision])
        return Answer(result="decided_before", text=done, code="used", decision=claims.decision, **about)
    if link.spent == "handed_over":  # before the engine gives the answer to a press from before its first answer
        return _refused(context, "handed_over", **about)
    try:
        link.principal.need(_DECIDES)
        link.principal.need_to_change()
        said = (comment or "").strip()[:_LONGEST_COMMENT] or None
        await decide_by_link(context, link.principal, link, comment=said, form=None, key="", via=member.service)
    except (Unavailable, Busy):
        raise
    except PlacetError as error:
        say = say_in(language)
        text = translated(error.message, say)
        if isinstance(error, InputInvalid):
            text = f"{text} {say(_ON_PAGE)}"
        code = next((code for kind, code in _CODES if isinstance(error, kind)), "refused")
        return Answer(result="refused", code=code, text=text, reason=error.message, error=error, **about)
    return Answer(result="decided", text=say_in(language)(_DONE[claims.decision]), decision=claims.decision, **about)


def _refused(context: Context, code: str, *, language: Language | None = None, **about: Any) -> Answer:
    spoken = language or context.notify.notify_language
    reason = _SPENT[code]
    return Answer(result="refused", code=code, text=say_in(spoken)(reason), reason=reason, language=spoken, **about)


def _language_of(context: Context, preferences: Any) -> Language:
    """Return the language that a person has chosen, or the installation's for messages."""
    chosen = (preferences or {}).get("language")
    return next((one for one in LANGUAGES if one == chosen), context.notify.notify_language)
