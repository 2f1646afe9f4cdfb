"""Times at which a chainlet is started without a caller."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fchains.definition.problems import BadValue, Problem, caller_place, did_you_mean, report, shown

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

FIELDS = ("minute", "hour", "day of month", "month", "day of week")
ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_HINT = 'write five fields, minute hour day month weekday, as in "0 6 * * 1-5"'


@dataclass(frozen=True, slots=True)
class Cron:
    """A schedule in the syntax of cron: minute, hour, day of month, month, day of week.

    Around the changes of daylight saving time it behaves as Debian's cron: a job at a time that
    is skipped runs right after the gap, one at a time that comes twice runs once.

    Args:
        expression: five fields such as "0 6 * * 1-5", or an alias such as "@daily".
        timezone: name of the IANA time zone that the fields are meant in.

    Raises:
        DefinitionError: a field or the time zone is wrong.
    """

    expression: str
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        faults = [*_expression_faults(self.expression), *_timezone_faults(self.timezone)]
        if not faults:
            return
        file, line = caller_place()
        subject = f"Cron({shown(self.expression)})"
        object.__setattr__(self, "expression", "@daily")
        object.__setattr__(self, "timezone", "UTC")
        report([Problem(fault.message, fault.hint, file, line, subject) for fault in faults])

    @property
    def fields(self) -> str:
        """The expression as five fields."""
        return ALIASES.get(self.expression.strip().lower(), self.expression)

    def next(self, after: datetime) -> datetime:
        """The first time later than `after`, in the schedule's time zone.

        Raises:
            ValueError: `after` has no time zone.
        """
        return next(self._times(after))

    def upcoming(self, n: int, after: datetime) -> list[datetime]:
        """The first `n` times later than `after`, in the schedule's time zone.

        Raises:
            ValueError: `after` has no time zone.
        """
        times = self._times(after)
        return [next(times) for _ in range(n)]

    def _times(self, after: datetime) -> Iterator[datetime]:
        from cronsim import CronSim

        if after.tzinfo is None:
            raise ValueError(
                f"Cron needs a datetime with a time zone, as datetime.now(UTC) gives, not {after!r}"
            )
        latest = after.timestamp()
        for time in CronSim(self.fields, after.astimezone(_zone(self.timezone))):
            # In the hour that comes twice, and after the one that is skipped, cronsim can repeat itself.
            if time.timestamp() > latest:
                latest = time.timestamp()
                yield time


def parse_schedule(value: object) -> Cron | None:
    """A schedule, or None.

    Raises:
        BadValue: this is neither.
    """
    if value is None or isinstance(value, Cron):
        return value
    hint = f"write schedule=Cron({value!r})" if isinstance(value, str) else 'write schedule=Cron("0 6 * * *")'
    raise BadValue(f"must be a Cron, not {shown(value)}", hint)


def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


def _expression_faults(expression: object) -> list[BadValue]:
    if not isinstance(expression, str):
        return [BadValue(f"the expression must be text, not {shown(expression)}", _HINT)]
    text = expression.strip().lower()
    if text.startswith("@"):
        if text in ALIASES:
            return []
        meant = did_you_mean(text, ALIASES, quote="'")
        return [BadValue(f"there is no alias {shown(expression)}{meant}", f"known are {', '.join(ALIASES)}")]
    parts = expression.split()
    if len(parts) != len(FIELDS):
        more = "; seconds are not supported" if len(parts) == len(FIELDS) + 1 else ""
        return [BadValue(f"it has {len(parts)} fields, not {len(FIELDS)}{more}", _HINT)]
    faults = [
        BadValue(f"the {name} is wrong: {part!r}", _HINT)
        for name, part in zip(FIELDS, parts, strict=True)
        if not _happens(" ".join(part if field == name else "*" for field in FIELDS))
    ]
    if not faults and not _happens(expression):
        faults.append(BadValue("it never happens: no month has such a day", _HINT))
    return faults


def _happens(fields: str) -> bool:
    from datetime import UTC, datetime

    from cronsim import CronSim, CronSimError

    try:
        return next(CronSim(fields, datetime(2000, 1, 1, tzinfo=UTC)), None) is not None
    except (CronSimError, ValueError):  # ValueError: a number of thousands of digits
        return False


def _timezone_faults(timezone: object) -> list[BadValue]:
    if not isinstance(timezone, str):
        hint = 'write timezone="Europe/Berlin"'
        return [BadValue(f"the time zone must be a name, not {shown(timezone)}", hint)]
    try:
        _zone(timezone)
    except (KeyError, ValueError, OSError):  # the name is missing, malformed, or that of a folder
        from zoneinfo import available_timezones

        meant = did_you_mean(timezone, sorted(available_timezones()), quote="'")
        hint = 'write a name of the IANA database, as in timezone="Europe/Berlin"'
        return [BadValue(f"there is no time zone {shown(timezone)}{meant}", hint)]
    return []
