"""The search attributes of a request, by which the Temporal Web UI lists and filters requests.

They hold ids and states, never personal data: search attributes are not encrypted. They are few, because the engine's
SQL stores allow 10 Keyword but only 3 KeywordList and 3 Datetime attributes in a namespace.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from temporalio.common import SearchAttributeKey

BLUEPRINT: SearchAttributeKey[str] = SearchAttributeKey.for_keyword("PlacetBlueprint")
"""The blueprint's name."""
VERSION: SearchAttributeKey[str] = SearchAttributeKey.for_keyword("PlacetVersion")
"""The blueprint's semantic version."""
REQUESTER: SearchAttributeKey[str] = SearchAttributeKey.for_keyword("PlacetRequester")
"""The id of the person who asks."""
ASSIGNEES: SearchAttributeKey[Sequence[str]] = SearchAttributeKey.for_keyword_list("PlacetAssignees")
"""The ids of the people whose decision is open."""
STAGE: SearchAttributeKey[str] = SearchAttributeKey.for_keyword("PlacetStage")
"""The stage that is open."""
SLA_STATE: SearchAttributeKey[str] = SearchAttributeKey.for_keyword("PlacetSlaState")
"""`ok`, `warning` or `breached`: the worst of the open tasks."""
DUE_TIME: SearchAttributeKey[datetime] = SearchAttributeKey.for_datetime("PlacetDueTime")
"""The deadline that comes first, an aware datetime."""
OUTCOME: SearchAttributeKey[str] = SearchAttributeKey.for_keyword("PlacetOutcome")
"""How the request ended; absent while it is open."""

ALL: tuple[SearchAttributeKey[Any], ...] = (
    BLUEPRINT,
    VERSION,
    REQUESTER,
    ASSIGNEES,
    STAGE,
    SLA_STATE,
    DUE_TIME,
    OUTCOME,
)
