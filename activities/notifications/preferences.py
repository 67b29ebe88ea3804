"""What each person chose: channels, quiet hours, digests and what they do not want to hear."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from placet.errors import InputInvalid, Problem
from storage.queries.notifications.delivery_queue import ChannelRoute

URGENT = ("sla_breached", "escalated_to")
MAIL = "mail"
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _local(value: time) -> time:
    if value.tzinfo is not None:
        raise ValueError("write the time alone, such as 09:00; it is in the person's time zone")
    return value


TimeOfDay = Annotated[time, AfterValidator(_local)]


class QuietHours(BaseModel):
    """Hours without messages, in the person's time zone: every day from `from` until `until`, and on `days` all day."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    start: TimeOfDay = Field(alias="from")
    until: TimeOfDay
    days: tuple[str, ...] = ()

    @field_validator("days")
    @classmethod
    def _known_days(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := set(value) - set(_DAYS):
            raise ValueError(f"{', '.join(sorted(unknown))}: write {', '.join(_DAYS)}")
        return value

    def covers(self, local: datetime) -> bool:
        """Say whether a local moment is quiet."""
        if _DAYS[local.weekday()] in self.days:
            return True
        at = local.time()
        if self.start <= self.until:
            return self.start <= at < self.until
        return at >= self.start or at < self.until


class Digest(BaseModel):
    """One mail at these times of the day, in the person's time zone, instead of one for each notice."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: tuple[TimeOfDay, ...] = Field(min_length=1, max_length=24)


class Preferences(BaseModel):
    """Everything a person chose. Absent: every notice at once, by mail."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    channels: tuple[str, ...] = (MAIL,)
    addresses: dict[str, str] = Field(default_factory=dict)  # channel -> address there (a number, a name, an URL)
    timezone: str = "UTC"
    quiet_hours: QuietHours | None = None
    digest: Digest | None = None
    urgent: tuple[str, ...] = URGENT  # events that pass quiet hours and digest
    muted: tuple[str, ...] = ()

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{value!r} is not a time zone; write one like Europe/Berlin") from error
        return value

    def routes(self, event: str, channels: Collection[str], now: datetime) -> list[ChannelRoute]:
        """Say over which channels a notice goes, and from when on; none where it is muted.

        A channel that is not set up is passed over; where none is left, it is mail.
        """
        if event in self.muted:
            return []
        chosen = [name for name in dict.fromkeys(self.channels) if name in channels] or [MAIL]
        if event in self.urgent:
            return [ChannelRoute(channel=name, not_before=now) for name in chosen]
        if self.digest is not None and MAIL in chosen:
            # A digest is a mail; a chat that the person asked for besides is not held back for it.
            others = [name for name in chosen if name != MAIL]
            routes = [ChannelRoute(channel=MAIL, not_before=self._after_quiet(self._next_digest(now)), digest=True)]
            return routes + [ChannelRoute(channel=name, not_before=self._after_quiet(now)) for name in others]
        return [ChannelRoute(channel=name, not_before=self._after_quiet(now)) for name in chosen]

    def _next_digest(self, now: datetime) -> datetime:
        assert self.digest is not None  # noqa: S101 - its one caller has looked
        zone = ZoneInfo(self.timezone)
        today = now.astimezone(zone).date()
        moments = (
            datetime.combine(today + timedelta(days=day), at, zone).astimezone(UTC)
            for day in (0, 1)
            for at in self.digest.at
        )
        return min(moment for moment in moments if moment > now)

    def _after_quiet(self, moment: datetime) -> datetime:
        """Return the first moment from this one on that is not quiet."""
        quiet = self.quiet_hours
        if quiet is None:
            return moment
        zone = ZoneInfo(self.timezone)
        local = moment.astimezone(zone)
        for _ in range(2 * len(_DAYS) + 2):
            if not quiet.covers(local):
                return local.astimezone(UTC)
            midnight = datetime.combine(local.date() + timedelta(days=1), time(0), zone)
            end = datetime.combine(local.date(), quiet.until, zone)
            local = end if local.time() < quiet.until and not self._all_day(local) else midnight
        return moment  # quiet round the clock, which cannot be meant

    def _all_day(self, local: datetime) -> bool:
        return self.quiet_hours is not None and _DAYS[local.weekday()] in self.quiet_hours.days


def read(given: Any) -> Preferences:
    """Check preferences as a person sends them; raises InputInvalid that names each place."""
    try:
        return Preferences.model_validate(given or {})
    except ValidationError as error:
        problems = tuple(
            Problem(
                pointer="".join(f"/{part}" for part in one["loc"]), message=one["msg"].removeprefix("Value error, ")
            )
            for one in error.errors()
        )
        raise InputInvalid("The preferences are wrong.", problems=problems) from error
