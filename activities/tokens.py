"""Decision tokens: a signed statement that one person may decide one task in one round, for signals and links."""

from __future__ import annotations

from dataclasses import replace

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer
from temporalio import activity

from activities.messages import TokenCheck, TokenVerdict
from placet.reasons import because

_SALT = "placet.decision"
MAX_AGE = 14 * 24 * 3600  # seconds


class DecisionTokens:
    """Issue and check decision tokens with the installation's secret."""

    def __init__(self, secret: str) -> None:
        """Sign with this secret; API and worker must share it."""
        self._serializer = URLSafeTimedSerializer(secret, salt=_SALT)

    def issue(self, person: str, task_id: str, round_: int, *, decision: str | None = None) -> str:
        """Return a token for one person, task and round; with `decision` it stands for that decision only."""
        return self._serializer.dumps([person, task_id, round_, decision])

    def verdict(self, check: TokenCheck) -> TokenVerdict:
        """Return whom the token stands for, or why it does not hold for what it is used for."""
        try:
            person, task_id, round_, decision = self._serializer.loads(check.token, max_age=MAX_AGE)
        except SignatureExpired:
            return _refused("token_expired")
        except (BadSignature, ValueError, TypeError):
            return _refused("token_not_signed_here")
        if task_id != check.task_id:
            return _refused("token_of_another_task")
        if decision is not None and decision != check.decision:
            return _refused("token_of_another_decision")
        return TokenVerdict(person=person, round=round_, reason=None)

    @activity.defn(name="verify_token")
    async def verify(self, check: TokenCheck) -> TokenVerdict:
        """Check a signal's token: pure, and so quick enough for a local activity."""
        return replace(self.verdict(check), at=check.at)


def _refused(code: str) -> TokenVerdict:
    return TokenVerdict(person=None, round=None, reason=str(because(code)), code=code)
