"""Times, durations and numbers as a language writes them, for texts that are made by the thousand.

Names, separators and the place of a currency come from the Unicode CLDR, once for each language; a text is then put
together without looking anything up.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from languages.catalogues import SOURCE

_UNITS = {"en": ("d", "h", "min"), "de": ("Tg.", "Std.", "Min.")}
_DAY = {"en": "{weekday} {day} {month} {year}", "de": "{weekday}, {day}. {month} {year}"}
_NOTHING = "-"
_ZONE_NAMES: dict[tuple[str, str, str], str] = {}  # by zone, its English short name then, and language


def when(value: Any, zone: str = "UTC", language: str = SOURCE) -> str:
    """Return a time (a moment, or its ISO text) such as `Mon 3 Nov 2025, 16:00 CET`; for None a dash."""
    if value is None or value == "":
        return _NOTHING
    return _moment(value, zone, language)


@lru_cache(maxsize=1024)  # a mail names the same moments in its text and in its HTML, and so do others
def _moment(value: str | datetime, zone: str, language: str) -> str:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    local = moment.astimezone(ZoneInfo(zone))
    return f"{day(local, language)}, {local:%H:%M} {_zone_name(local, zone, language)}"


def day(value: date, language: str = SOURCE) -> str:
    """Return a calendar day such as `Mon 3 Nov 2025`."""
    days, months, pattern = _calendar(language)
    return pattern.format(weekday=days[value.weekday()], day=value.day, month=months[value.month], year=value.year)


def duration(value: Any, language: str = SOURCE) -> str:
    """Return a number of seconds such as `2 d 3 h`, `45 min` or `1.5 s`."""
    seconds = float(value)
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    if seconds < 60:
        return f"{sign}{seconds:.3g} s".translate(_separators(language))
    minutes = round(seconds / 60)
    days, rest = divmod(minutes, 24 * 60)
    parts = zip((days, rest // 60, rest % 60), _UNITS[language], strict=True)
    return sign + " ".join(f"{n} {unit}" for n, unit in [p for p in parts if p[0]][:2])


def number(value: Decimal | int, language: str = SOURCE) -> str:
    """Return a number exactly, with the separators of the language."""
    return f"{value:,{'f' if isinstance(value, Decimal) else ''}}".translate(_separators(language))


def money(value: Decimal, currency: str, language: str = SOURCE) -> str:
    """Return an amount exactly, with at least the currency's usual digits after the point."""
    before, after, usual = _currency(currency, language)
    exponent = value.as_tuple().exponent
    digits = max(usual, -exponent if isinstance(exponent, int) else 0)
    amount = f"{abs(value):,.{digits}f}".translate(_separators(language))
    return f"{'-' if value < 0 else ''}{before}{amount}{after}"


@cache
def _calendar(language: str) -> tuple[dict[int, str], dict[int, str], str]:
    """Return the names of the days from Monday and of the months from 1, and how they stand in a date."""
    from babel import Locale

    locale = Locale.parse(language)
    days, months = locale.days["format"]["abbreviated"], locale.months["format"]["abbreviated"]
    return dict(days), dict(months), _DAY[language]


@cache
def _separators(language: str) -> dict[int, str]:
    """Return what stands for the comma and the point of a number in English."""
    from babel.numbers import get_decimal_symbol, get_group_symbol

    return {ord(","): get_group_symbol(language), ord("."): get_decimal_symbol(language)}


@cache
def _currency(currency: str, language: str) -> tuple[str, str, int]:
    """Return what stands before and after an amount of money, and how many digits after the point are usual."""
    from babel.numbers import format_currency, get_currency_precision

    usual = get_currency_precision(currency)
    seven = f"{7:.{usual}f}".translate(_separators(language))
    before, _, after = format_currency(7, currency, locale=language).partition(seven)
    return before, after, usual


def _zone_name(local: datetime, zone: str, language: str) -> str:
    """Return the short name of a time zone, in summer or winter; its English one where the language has none."""
    english = local.tzname() or zone
    key = (zone, english, language)
    name = _ZONE_NAMES.get(key)
    if name is None:
        from babel.dates import get_timezone_name

        name = get_timezone_name(local, width="short", locale=language)
        name = _ZONE_NAMES[key] = name if name[:1].isalpha() else english
    return name
