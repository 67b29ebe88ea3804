"""The browser sessions of a person, as they see and end them themselves."""

from __future__ import annotations

from placet.errors import NotFound, ReauthenticationRequired
from placet.sentences import sentence
from service import security_log
from service.context import Context
from service.identity.login import Session
from storage.queries.identity import sessions


def has_just_logged_in(context: Context, session: Session) -> bool:
    """Tell whether the person has just logged in with this session, so that they may end others of theirs."""
    proven_at = max(session.began_at, session.authenticated_at or session.began_at)
    return context.now() - proven_at <= context.identity.sign_within


def _require_new_log_in(context: Context, session: Session) -> None:
    """Whoever has taken a session must not be able to end those of its person, and stay alone."""
    if has_just_logged_in(context, session):
        return
    raise ReauthenticationRequired(
        sentence(
            "Sessions are ended within {minutes} minutes after a log-in. Nothing was changed; log in again, and come "
            "back to this page.",
            minutes=context.identity.sign_minutes,
        ),
        where="/me/sessions",
    )


async def end(context: Context, session: Session, session_id: str) -> None:
    """End another session of the person; raises ReauthenticationRequired, and NotFound where it has ended."""
    _require_new_log_in(context, session)
    ended = await context.database.write(sessions.close_of, session.principal.person, only=session_id, but=session.id)
    if not ended:
        raise NotFound("You have no other session of this id; it may have ended. Load the page again.")
    security_log.note("logged_out", person=session.principal.person, sessions=ended)


async def end_others(context: Context, session: Session) -> None:
    """End all sessions of the person but this one; raises ReauthenticationRequired."""
    _require_new_log_in(context, session)
    ended = await context.database.write(sessions.close_of, session.principal.person, but=session.id)
    security_log.note("logged_out", person=session.principal.person, sessions=ended)
