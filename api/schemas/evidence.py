"""Evidence packs, as the API takes and shows them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.common import Shown, View
from service.documents import Moment
from service.evidence.building import LONGEST_SEED, MOST_SAMPLED, Order
from storage.tables.evidence import EvidencePack


class EvidenceOrder(BaseModel):
    """What evidence is asked for: a process, a period, and a sample that the seed draws."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "process": "Expense approval",
                    "from": "2026-01-01T00:00:00Z",
                    "until": "2026-04-01T00:00:00Z",
                    "sample": 25,
                    "seed": "audit 2026 Q1",
                }
            ]
        },
    )

    process: Annotated[str, Field(min_length=1, max_length=200)]
    since: Annotated[Moment, Field(alias="from", description="The beginning of the period.")]
    until: Annotated[Moment, Field(description="The end of the period, which is no part of it.")]
    sample: Annotated[int, Field(ge=0, le=MOST_SAMPLED, description="How many requests to sample.")]
    seed: Annotated[str, Field(min_length=1, max_length=LONGEST_SEED)]
    files: Annotated[bool, Field(description="Whether the attached files of the sample are in the pack.")] = False

    def order(self) -> Order:
        """Return the order."""
        return Order(
            process=self.process,
            since=self.since,
            until=self.until,
            sample=self.sample,
            seed=self.seed,
            files=self.files,
        )


class EvidencePackView(View):
    """A pack: who ordered what, and what became of it. `sha256` is that of the whole file, `key_id` the key's."""

    id: str
    process: str
    since: Annotated[Shown, Field(serialization_alias="from")]
    until: Shown
    sample: int
    seed: str
    files: bool
    status: Literal["running", "ready", "failed", "expired", "saved"]
    ordered_by: str
    ordered_at: Shown
    finished_at: Shown | None
    expires_at: Shown | None
    population: int | None
    sampled: int | None
    exceptions: int | None
    size: int | None
    sha256: str | None
    key_id: str | None
    error: str | None

    @classmethod
    def of(cls, row: EvidencePack) -> EvidencePackView:
        """Show a pack."""
        shown: dict[str, Any] = row.model_dump(exclude={"with_files", "held_until"})
        by = row.ordered_by if row.status == "saved" else f"user:{row.ordered_by}"
        return cls(**{**shown, "files": row.with_files, "ordered_by": by})
