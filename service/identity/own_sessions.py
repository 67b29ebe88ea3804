"""The browser sessions of a person, as they see and end them themselves."""

from __future__ import annotations

from placet.errors import NotFound, ReauthenticationRequired
from placet.sentences import sentence
from service import security_log
from service.context import Context
from service.identity.login import Session
from storage.queries.identity import sessions


def require_new_log_in(context: Context, session: Session) -> None:
    """Raise ReauthenticationRequired unless the person has just logged in with this session.

    Whoever has taken a session must not be able to end those of its person, and stay alone.
    """
    proven_at = max(session.began_at, session.authenticated_at or session.began_at)
    if context.now() - proven_at <= context.identity.sign_within:
        return
    minutes = int(context.identity.sign_within.total_seconds()) // 60
    raise ReauthenticationRequired(
        sentence(
            "Sessions are ended within {minutes} minutes after a log-in. Nothing was changed; log in again, and come "
            "back to this page.",
            minutes=minutes,
        ),
        where="/me/sessions",
    )


async def end(context: Context, session: Session, session_id: str) -> None:
    """End another session of the person; raises ReauthenticationRequired, and NotFound where it has ended."""
    require_new_log_in(context, session)
    ended = await context.database.write(sessions.close_of, session.principal.person, only=session_id, but=session.id)
    if not ended:
        raise NotFound("You have no other session of this id; it may have ended. Load the page again.")
    security_log.note("logged_out", person=session.principal.person, sessions=ended)


async def end_others(context: Context, session: Session) -> None:
    """End all sessions of the person but this one; raises ReauthenticationRequired."""
    require_new_log_in(context, session)
    ended = await context.database.write(sessions.close_of, session.principal.person, but=session.id)
    security_log.note("logged_out", person=session.principal.person, sessions=ended)
