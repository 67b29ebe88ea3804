"""Endings of sub-processes: the worker that ends one signs what it came to, and its parent takes nothing else.

A sub-process tells its parent by a signal, and whoever reaches the engine can send signals. The signature is made where
the secret is, by a local activity, and stands for one sub-process at one visit of one node of one request: sent again,
or to another request, it says nothing new.
"""

from __future__ import annotations

import hashlib
import json

from itsdangerous import Signer
from pydantic import TypeAdapter, ValidationError
from temporalio import activity

from activities.messages import Ending, EndingCheck, EndingVerdict
from placet.definition.fields import Outcome

_SALT = "placet.ending"
_OUTCOMES: TypeAdapter[str] = TypeAdapter(Outcome)
_ENDINGS = TypeAdapter(Ending)


class Endings:
    """Sign and check how sub-processes ended, with the installation's secret."""

    def __init__(self, secret: str) -> None:
        """Sign with this secret; all workers must share it."""
        self._signer = Signer(secret, salt=_SALT, digest_method=hashlib.sha256)

    @activity.defn(name="sign_ending")
    async def sign(self, ending: Ending) -> str:
        """Return the signature of an ending: pure, and so quick enough for a local activity."""
        return self._signer.get_signature(_written(ending)).decode()

    @activity.defn(name="verify_ending")
    async def verify(self, check: EndingCheck) -> EndingVerdict:
        """Tell whether an ending was signed here, and is one: pure, and so quick enough for a local activity."""
        code = None
        if not check.signature:
            code = "ending_unsigned"
        elif not self._signer.verify_signature(_written(check.ending), check.signature):
            code = "ending_forged"
        elif not is_outcome(check.ending.outcome):
            code = "ending_shape"
        return EndingVerdict(code=code, at=check.at)


def is_outcome(text: str) -> bool:
    """Tell whether this can be an outcome: what blueprints may name, and what a request ends with by itself."""
    try:
        _OUTCOMES.validate_python(text)
    except ValidationError:
        return False
    return True


def _written(ending: Ending) -> bytes:
    return json.dumps(_ENDINGS.dump_python(ending, by_alias=True), sort_keys=True, separators=(",", ":")).encode()
