"""The models of the action catalog."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StrictBool

from api.schemas.common import Body, Shown, View, with_examples
from placet.json_text import with_floats
from service.administration.catalog import LONGEST_DESCRIPTION
from storage.queries.actions import Statistics
from storage.tables.actions import ActionCatalog

_EXAMPLE: dict[str, Any] = {
    "name": "book_expense",
    "description": "Book an approved expense in the ERP.",
    "executor": "http",
    "is_idempotent": False,
    "accepts_key": True,
    "latency_class": "medium",
    "side_effects": ["http", "erp"],
    "input_schema": {
        "type": "object",
        "properties": {"body": {"type": "object", "required": ["amount"]}},
        "required": ["body"],
    },
    "output_schema": {"type": "object", "required": ["status"]},
    "config": {
        "url": "https://erp.example.com/bookings",
        "method": "POST",
        "headers": {"Authorization": {"secret": "ERP_AUTHORIZATION"}},
    },
    "cost": "0.02",
    "enabled": True,
}


def _cost(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError('write a decimal number, such as "0.02"')  # noqa: TRY004 - pydantic makes it a finding
    try:
        price = Decimal(value)
    except ArithmeticError as error:
        raise ValueError('write a decimal number, such as "0.02"') from error
    if not price.is_finite() or not 0 <= price < Decimal(10) ** 12 or len(str(price)) > 40:
        raise ValueError("write a price from 0 to 1000000000000")
    return format(price, "f")


def _each_once(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,99}$")]
SideEffect = Annotated[str, Field(min_length=1, max_length=100)]
JsonObject = Annotated[dict[str, Any], AfterValidator(with_floats)]
Latency = Literal["instant", "fast", "medium", "slow", "very_slow"]


class ActionFacts(Body):
    """The fields of an action in the catalog."""

    description: Annotated[str, Field(max_length=LONGEST_DESCRIPTION)] = ""
    executor: Annotated[str, Field(min_length=1, max_length=100)] = "http"
    is_idempotent: StrictBool = False
    latency_class: Latency = "medium"
    side_effects: Annotated[list[SideEffect], Field(max_length=50), AfterValidator(_each_once)] = Field(
        default_factory=list
    )
    accepts_key: StrictBool = False
    input_schema: JsonObject = Field(default_factory=lambda: {"type": "object"})
    output_schema: JsonObject = Field(default_factory=lambda: {"type": "object"})
    config: JsonObject = Field(default_factory=dict)
    cost: Annotated[str | None, BeforeValidator(_cost)] = None
    enabled: StrictBool = True

    def facts(self) -> dict[str, Any]:
        """Return the values to store, by column."""
        return {name: getattr(self, name) for name in ActionFacts.model_fields}


class ActionBody(ActionFacts):
    """A new action."""

    model_config = with_examples(_EXAMPLE)

    name: Name


class ActionPut(ActionFacts):
    """The action with the name or id of the path. A `name` in the body has to be the same."""

    model_config = ActionBody.model_config

    name: Name | None = None


class StatisticsView(View):
    """Statistics of an action: attempts, their mean and 95th percentile in seconds, and the share that succeeded."""

    count: int
    mean_seconds: float | None
    p95_seconds: float | None
    success_rate: float | None


class ActionView(View):
    """One action of the catalog."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    description: str
    executor: str
    is_idempotent: bool
    latency_class: Latency
    side_effects: list[str]
    accepts_key: bool
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    config: dict[str, Any]
    cost: str | None
    enabled: bool
    created_by: str
    created_at: Shown
    updated_by: str
    updated_at: Shown
    statistics: StatisticsView

    @classmethod
    def of(cls, row: ActionCatalog, fared: Statistics | None) -> ActionView:
        """Show a stored action."""
        fared = fared or Statistics()
        facts = {name: getattr(row, name) for name in ActionFacts.model_fields}
        return cls.model_construct(
            id=row.id,
            name=row.name,
            **facts,
            created_by=_by(row.created_by),
            created_at=row.created_at,
            updated_by=_by(row.updated_by),
            updated_at=row.updated_at,
            statistics=StatisticsView(
                count=fared.count, mean_seconds=fared.mean, p95_seconds=fared.p95, success_rate=fared.success_rate
            ),
        )


def _by(person: str) -> str:
    return person if person == "system" else f"user:{person}"
