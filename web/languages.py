"""Languages: the texts of the pages in English and German, and numbers, money and times as a locale writes them.

The source texts are English and stand in the code; `locales/` has a gettext catalogue for each other language. What the
rooms below say (reasons, refusals, findings) is translated by `languages`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache, cached_property, lru_cache
from gettext import NullTranslations
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, dates, numbers

from languages import catalogues
from languages.catalogues import LANGUAGES, say_in
from placet.sentences import translated

_LOCALES = Path(__file__).parent / "locales"
_THRESHOLD = 1.2  # of a unit: `70 minutes ago` rather than `1 hour ago`


@cache
def catalogue(language: str) -> NullTranslations:
    """Return the texts of the pages in a language."""
    return catalogues.catalogue(_LOCALES / language / "LC_MESSAGES" / "placet.po", language)


def negotiate(chosen: str | None, accepted: str | None) -> str:
    """Return the language to show: the chosen one, else the first of the Accept-Language header that there is."""
    if chosen in LANGUAGES:
        return str(chosen)
    weighed: list[tuple[float, str]] = []
    for part in (accepted or "")[:500].split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighed.append((-float(weight or 1), tag.split("-")[0].lower()))
        except ValueError:
            continue
    return next((tag for _, tag in sorted(weighed, key=lambda one: one[0]) if tag in LANGUAGES), LANGUAGES[0])


def zone_of(name: str | None) -> ZoneInfo | None:
    """Return a time zone by its IANA name; None for an unknown one."""
    if not name or len(name) > 64:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@dataclass(frozen=True, kw_only=True)
class Wording:
    """How one reader reads: language, time zone, and the moment that relative times count from."""

    language: str
    zone: ZoneInfo
    now: datetime
    _catalogue: NullTranslations = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Look the catalogue up once."""
        object.__setattr__(self, "_catalogue", catalogue(self.language))

    @property
    def locale(self) -> Locale:
        """The locale that numbers and dates are written in."""
        return _locale(self.language)

    @cached_property
    def decimal_sign(self) -> str:
        """What stands before the fraction of a number."""
        return str(numbers.get_decimal_symbol(self.locale))

    @property
    def say(self) -> Callable[[str], str]:
        """The function that translates a text."""
        return self._catalogue.gettext

    @property
    def say_number(self) -> Callable[[str, str, int], str]:
        """The function that translates a text with a number in it."""
        return self._catalogue.ngettext

    def tell(self, text: str) -> str:
        """Return what a reason, a refusal or a finding says."""
        return translated(text, say_in(self.language))

    def moment(self, at: datetime) -> str:
        """Write a moment in the reader's time zone."""
        return _moment(at.astimezone(self.zone).replace(second=0, microsecond=0, tzinfo=None), self.language)

    def clock(self, at: datetime) -> str:
        """Write a time of today to the second, in the reader's time zone."""
        return str(dates.format_time(at.astimezone(self.zone), "HH:mm:ss", locale=self.locale))

    def short_day(self, at: datetime, *, year: bool = True, clock: bool = False) -> str:
        """Write a day in the reader's time zone without its weekday, for charts and lines that have little room."""
        pattern = _pattern("yMMMd" if year else "MMMd", self.language) + (", HH:mm" if clock else "")
        return str(dates.format_datetime(at.astimezone(self.zone), pattern, locale=self.locale))

    def zone_name(self, at: datetime) -> str:
        """Write the short name of the reader's time zone at a moment."""
        local = at.astimezone(self.zone).replace(second=0, microsecond=0)
        return _zone_name(local.replace(tzinfo=None), local.fold, self.zone, self.language)

    def day(self, at: date) -> str:
        """Write a calendar day."""
        return _day(at, self.language)

    def distance(self, at: datetime) -> str:
        """Write how far a moment is from now, such as `in 3 hours` or `2 days ago`."""
        away = (at - self.now).total_seconds()
        for unit, seconds in dates.TIMEDELTA_UNITS:
            count = abs(away) / seconds
            if count >= _THRESHOLD:
                return _distance(unit, round(count) * seconds * (1 if away >= 0 else -1), self.language)
        return _distance("second", 0 if away == 0 else 1 if away > 0 else -1, self.language)

    def span(self, length: timedelta) -> str:
        """Write how long something lasts, such as `7 days`."""
        return str(dates.format_timedelta(length, threshold=_THRESHOLD, locale=self.locale))

    def number(self, value: Decimal | int) -> str:
        """Write a number exactly, with the locale's separators."""
        return str(numbers.format_decimal(value, locale=self.locale, decimal_quantization=False))

    def money(self, value: Decimal, currency: str) -> str:
        """Write an amount of money exactly, with at least the currency's usual digits."""
        return _money(str(value), currency, self.language)  # as it is written: -0 equals 0

    def as_decimal(self, value: Any) -> Decimal | None:
        """Read a number as it is stored: text, integer or float; None where it is none."""
        if isinstance(value, bool) or value is None:
            return None
        try:
            found = Decimal(str(value))
        except InvalidOperation:
            return None
        return found if found.is_finite() else None


@cache
def _pattern(skeleton: str, language: str) -> str:
    """Return in which order, and with which points, a locale writes the parts of a date."""
    return str(_locale(language).datetime_skeletons[skeleton].pattern)


# A list has a hundred moments, of which most were written for the page before: formatting them anew takes most of it.
@lru_cache(8192)
def _moment(local: datetime, language: str) -> str:
    return str(dates.format_datetime(local, f"{_pattern('yMMMd', language)}, HH:mm", locale=_locale(language)))


@lru_cache(8192)
def _day(at: date, language: str) -> str:
    return str(dates.format_date(at, _pattern("yMMMEd", language), locale=_locale(language)))


@lru_cache(8192)
def _zone_name(local: datetime, fold: int, zone: ZoneInfo, language: str) -> str:
    # By the local time and its zone: one moment is equal in all zones, and its two hours of autumn are in one.
    at = local.replace(tzinfo=zone, fold=fold)
    return str(dates.get_timezone_name(at, width="short", locale=_locale(language)))


@lru_cache(8192)
def _distance(unit: Any, seconds: int, language: str) -> str:
    # In this unit, whatever would be chosen for this length: it was chosen by the length before it was rounded.
    return str(
        dates.format_timedelta(
            timedelta(seconds=seconds),
            granularity=unit,
            threshold=float("inf"),
            add_direction=True,
            locale=_locale(language),
        )
    )


@lru_cache(8192)
def _money(written: str, currency: str, language: str) -> str:
    value = Decimal(written)
    usual = numbers.get_currency_precision(currency)
    exponent = value.normalize().as_tuple().exponent
    digits = max(usual, -exponent if isinstance(exponent, int) else 0)
    shown = value.quantize(Decimal(1).scaleb(-digits)) if digits >= 0 else value
    return str(
        numbers.format_currency(
            shown, currency, locale=_locale(language), currency_digits=False, decimal_quantization=False
        )
    )


@cache
def _locale(language: str) -> Locale:
    return Locale.parse("en_GB" if language == "en" else language)


def utc(text: str) -> datetime | None:
    """Read a moment as it is stored; None where it is none."""
    try:
        at = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
