"""Signed texts that tell when they were signed, by the clock that all processes share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from itsdangerous import TimestampSigner, URLSafeTimedSerializer


class TimedSignatures:
    """Sign values, and read what was signed with the same secret for the same purpose (`salt`)."""

    def __init__(self, secret: str, *, salt: str, clock: Callable[[], datetime]) -> None:
        class Signer(TimestampSigner):
            def get_timestamp(self) -> int:
                return int(clock().timestamp())

        self._clock = clock
        self._serializer = URLSafeTimedSerializer(secret, salt=salt, signer=Signer)

    def sign(self, value: Any) -> str:
        """Return a text for a value of JSON."""
        return str(self._serializer.dumps(value))

    def read(self, text: str) -> tuple[Any, datetime]:
        """Return the value and when it was signed, in whole seconds; raises itsdangerous' BadData."""
        value, at = self._serializer.loads(text, return_timestamp=True)
        return value, at

    def is_older(self, at: datetime, age: timedelta) -> bool:
        """Tell whether what was signed then is older than that.

        What seems to come from the future is not: two processes know the shared time to some milliseconds, and a
        second may begin between them.
        """
        return self._clock() - at > age
