"""The notification preferences of a person: channels, quiet hours, digests and muted events."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from languages.catalogues import Language
from placet.definition.validation_messages import sentence_of
from placet.errors import InputInvalid, Problem
from storage.queries.notifications.delivery_queue import ChannelRoute

URGENT = ("sla_breached", "escalated_to")
MAIL = "mail"
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _local(value: time) -> time:
    if value.tzinfo is not None:
        raise ValueError("write the time without a zone, such as 09:00; the person's time zone applies")
    return value


TimeOfDay = Annotated[time, AfterValidator(_local)]


class QuietHours(BaseModel):
    """Hours without messages in the person's time zone: from `from` until `until` each day, and on `days` all day."""

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
        """Tell whether a local time is within the quiet hours."""
        if _DAYS[local.weekday()] in self.days:
            return True
        at = local.time()
        if self.start <= self.until:
            return self.start <= at < self.until
        return at >= self.start or at < self.until


class Digest(BaseModel):
    """One mail at these times of the day in the person's time zone, instead of one mail for each notification."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: tuple[TimeOfDay, ...] = Field(min_length=1, max_length=24)


class Preferences(BaseModel):
    """All preferences of a person. By default every notification is sent at once by mail."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    channels: tuple[str, ...] = (MAIL,)
    addresses: dict[str, str] = Field(default_factory=dict)  # channel -> address there (a number, a name, an URL)
    timezone: str = "UTC"
    language: Language | None = None  # None: pages follow the browser, and messages the installation's setting
    quiet_hours: QuietHours | None = None
    digest: Digest | None = None
    urgent: tuple[str, ...] = URGENT  # events that ignore quiet hours and digest
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
        """Return the channels of a notification, each with the earliest time to send; empty for a muted event.

        A channel that is not set up is skipped. Mail is used where no channel is left.
        """
        if event in self.muted:
            return []
        chosen = [name for name in dict.fromkeys(self.channels) if name in channels] or [MAIL]
        if event in self.urgent:
            return [ChannelRoute(channel=name, not_before=now) for name in chosen]
        if self.digest is not None and MAIL in chosen:
            # Only mail is collected into a digest; the person's other channels are used at once.
            others = [name for name in chosen if name != MAIL]
            routes = [ChannelRoute(channel=MAIL, not_before=self._after_quiet(self._next_digest(now)), digest=True)]
            return routes + [ChannelRoute(channel=name, not_before=self._after_quiet(now)) for name in others]
        return [ChannelRoute(channel=name, not_before=self._after_quiet(now)) for name in chosen]

    def _next_digest(self, now: datetime) -> datetime:
        assert self.digest is not None  # noqa: S101 - the only caller has checked
        zone = ZoneInfo(self.timezone)
        today = now.astimezone(zone).date()
        moments = (
            datetime.combine(today + timedelta(days=day), at, zone).astimezone(UTC)
            for day in (0, 1)
            for at in self.digest.at
        )
        return min(moment for moment in moments if moment > now)

    def _after_quiet(self, moment: datetime) -> datetime:
        """Return this moment, or the end of the quiet hours that it lies in."""
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
        return moment  # all hours of all days are quiet, which cannot be intended

    def _all_day(self, local: datetime) -> bool:
        return self.quiet_hours is not None and _DAYS[local.weekday()] in self.quiet_hours.days


def read(given: Any) -> Preferences:
    """Check preferences as a person sends them; raises InputInvalid that names each place."""
    try:
        return Preferences.model_validate(given or {})
    except ValidationError as error:
        problems = tuple(
            Problem(pointer="".join(f"/{part}" for part in one["loc"]), message=sentence_of(one))
            for one in error.errors(include_url=False)
        )
        raise InputInvalid("Some preferences are invalid; see `problems`.", problems=problems) from error
