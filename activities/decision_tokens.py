"""Decision tokens: signed statements that one person may decide one task, for signals and one-click links.

A token holds for one task in one round, until the task gets another assignee; it stays invalid when the task comes back
to its person. The token of a person who has left is refused. Signals and links are signed with the same secret and
different salts: a link that was forwarded decides nothing by a signal, where nobody asks for a session.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, cast, get_args

from itsdangerous import BadData
from pydantic import BaseModel, ConfigDict, ValidationError
from temporalio import activity

from activities.messages import TokenCheck, TokenVerdict
from activities.timed_signatures import TimedSignatures
from placet.audit.reasons import because
from placet.engine.events import ActorType
from storage.database import Database
from storage.queries.people import people
from storage.queries.requests.deciders import refusal_of_token

_SALT = "placet.decision"
_SALT_OF_LINKS = "placet.decision.link"
_SALT_OF_BUTTONS = "placet.decision.button"
_LONGEST = 2_000  # characters of a token that is looked at
MAX_AGE = timedelta(days=14)

LinkDecision = Literal["approve", "reject"]
"""The decisions that a link may stand for."""


class _Payload(BaseModel):
    """What a token says; the names are short because links carry it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    p: str  # person
    t: str  # task id
    r: int  # round
    h: int  # how often the task had changed hands
    v: int | None = None  # revision of the request
    d: str | None = None  # the one decision that it stands for; None: any


class DecisionTokens:
    """Issue and read decision tokens with the installation's secret."""

    def __init__(self, secret: str, clock: Callable[[], datetime]) -> None:
        """Sign with this secret; API and worker must share it, and the clock."""
        self._signatures = TimedSignatures(secret, salt=_SALT, clock=clock)

    def issue(
        self,
        person: str,
        task_id: str,
        round_: int,
        *,
        hand_overs: int = 0,
        revision: int | None = None,
        decision: str | None = None,
    ) -> str:
        """Return a token for one person, task and round; `hand_overs` is how often the task had changed hands by then.

        With `revision` the token holds for that revision of the request only, with `decision` for that decision only.
        """
        payload = _Payload(p=person, t=task_id, r=round_, h=hand_overs, v=revision, d=decision)
        return self._signatures.sign(payload.model_dump(exclude_none=True))

    def verdict(self, check: TokenCheck) -> TokenVerdict:
        """Return the token's person, or the reason why it is refused."""
        try:
            signed, at = self._signatures.read(check.token)
        except (BadData, ValueError, TypeError):
            return _refused("token_not_signed_here", check)
        if self._signatures.is_older(at, MAX_AGE):
            return _refused("token_expired", check)
        try:
            payload = _Payload.model_validate(signed)
        except ValidationError:
            return _refused("token_outdated", check)
        if payload.t != check.task_id:
            return _refused("token_of_another_task", check)
        if payload.d is not None and payload.d != check.decision:
            return _refused("token_of_another_decision", check)
        return TokenVerdict(
            person=payload.p,
            round=payload.r,
            reason=None,
            at=check.at,
            code=None,
            hand_overs=payload.h,
            revision=payload.v,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkClaims:
    """What a link stands for: one decision of one person on one task, as it was when the link was signed."""

    person: str
    task_id: str
    round: int
    hand_overs: int | None  # None: nothing is said of it
    revision: int
    decision: LinkDecision
    signed_at: datetime


class LinkTokens:
    """Issue and read the tokens of one-click links with the installation's secret."""

    salt = _SALT_OF_LINKS

    def __init__(self, secret: str, clock: Callable[[], datetime]) -> None:
        """Sign with this secret; the API and the senders of notifications must share it, and the clock."""
        self._signatures = TimedSignatures(secret, salt=self.salt, clock=clock)

    def issue(
        self, person: str, task_id: str, *, round_: int, hand_overs: int, revision: int, decision: LinkDecision
    ) -> str:
        """Return a token that is signed now."""
        payload = _Payload(p=person, t=task_id, r=round_, h=hand_overs, v=revision, d=decision)
        return self._signatures.sign(payload.model_dump())

    def read(self, text: str) -> LinkClaims | None:
        """Return what a token says; None where it was not signed here, or not for a link.

        How old it may be, the caller says. The signature is compared in constant time, before anything is looked up.
        """
        if len(text) > _LONGEST:
            return None
        try:
            signed, at = self._signatures.read(text)
            payload = _Payload.model_validate(signed)
        except (BadData, ValueError, TypeError):
            return None
        if payload.v is None or payload.d not in get_args(LinkDecision):
            return None
        return LinkClaims(
            person=payload.p,
            task_id=payload.t,
            round=payload.r,
            hand_overs=payload.h,
            revision=payload.v,
            decision=cast(LinkDecision, payload.d),
            signed_at=at,
        )


class ButtonTokens(LinkTokens):
    """The same for buttons in a chat, which has to say who presses them: a button's token is no link."""

    salt = _SALT_OF_BUTTONS


class TokenVerifier:
    """Check the tokens of signals, for a worker."""

    def __init__(self, tokens: DecisionTokens, database: Database) -> None:
        """Take what `tokens` were signed with, as long as the people that `database` holds have not left."""
        self._tokens = tokens
        self._database = database

    @activity.defn(name="verify_token")
    async def verify(self, check: TokenCheck) -> TokenVerdict:
        """Check a signal's token; raises Unavailable where the database is away, and may then be tried again.

        Whoever has left, or may approve nothing any more, is refused here: their tasks move on later, or not at all.
        """
        verdict = self._tokens.verdict(check)
        if verdict.person is not None:
            code = await self._database.read(refusal_of_token, verdict.person, check.task_id)
            if code is not None:
                return _refused(code, check)
            who = await self._database.read(people.actor_type, verdict.person)
            return replace(verdict, actor_type=cast(ActorType, who))
        return verdict


def _refused(code: str, check: TokenCheck) -> TokenVerdict:
    return TokenVerdict(
        person=None,
        round=None,
        reason=str(because(code)),
        at=check.at,
        code=code,
        hand_overs=None,
        revision=None,
    )
