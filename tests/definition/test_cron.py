from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fchains.definition.cron import ALIASES, Cron, parse_schedule
from fchains.definition.problems import BadValue, collecting
from fchains.errors import DefinitionError

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("0 6 * * *", "2026-01-01T00:00", "2026-01-01T06:00"),
        ("0 6 * * *", "2026-01-01T06:00", "2026-01-02T06:00"),
        ("0 6 * * *", "2026-01-01T06:00:00.500", "2026-01-02T06:00"),
        ("*/15 * * * *", "2026-01-01T00:01", "2026-01-01T00:15"),
        ("0 0 29 2 *", "2026-01-01T00:00", "2028-02-29T00:00"),
        ("30 9 * * mon-fri", "2026-01-02T10:00", "2026-01-05T09:30"),
        ("0 0 L * *", "2026-02-01T00:00", "2026-02-28T00:00"),
        ("@daily", "2026-01-01T00:00", "2026-01-02T00:00"),
        (" @Weekly ", "2026-01-01T00:00", "2026-01-04T00:00"),
    ],
)
def test_the_next_time_is_the_first_one_later(expression: str, after: str, expected: str) -> None:
    assert Cron(expression).next(datetime.fromisoformat(f"{after}+00:00")) == datetime.fromisoformat(
        f"{expected}+00:00"
    )


def test_fields_are_meant_in_the_schedules_time_zone() -> None:
    time = Cron("0 6 * * *", timezone="Europe/Berlin").next(NEW_YEAR)
    assert time.isoformat() == "2026-01-01T06:00:00+01:00"


def test_a_time_that_is_skipped_comes_right_after_the_gap() -> None:
    schedule = Cron("30 2 * * *", timezone="Europe/Berlin")
    times = schedule.upcoming(2, datetime(2026, 3, 28, 12, tzinfo=BERLIN))
    assert [time.isoformat() for time in times] == ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]


def test_a_time_that_comes_twice_is_taken_once() -> None:
    schedule = Cron("30 2 * * *", timezone="Europe/Berlin")
    times = schedule.upcoming(2, datetime(2026, 10, 24, 12, tzinfo=BERLIN))
    assert [time.isoformat() for time in times] == ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]


def test_in_the_second_of_two_equal_hours_the_next_time_is_still_later() -> None:
    after = datetime(2026, 10, 25, 2, 40, fold=1, tzinfo=BERLIN)
    time = Cron("50 2 * * *", timezone="Europe/Berlin").next(after)
    assert time.isoformat() == "2026-10-26T02:50:00+01:00"


@given(
    st.sampled_from(["*/7 * * * *", "0,30 2 * * *", "15 */2 * * *", "0 3 * * 0", "@hourly"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),
)
def test_upcoming_times_are_aware_later_and_ascending(
    expression: str, timezone: str, after: datetime
) -> None:
    schedule = Cron(expression, timezone)
    times = [time.astimezone(UTC) for time in schedule.upcoming(4, after)]
    assert [after, *times] == sorted({after, *times})
    assert schedule.next(times[0]) == times[1]
    assert times[-1] - after < timedelta(days=40)


def test_a_datetime_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a datetime with a time zone"):
        Cron("0 6 * * *").next(datetime(2026, 1, 1))


@pytest.mark.parametrize("alias", ALIASES)
def test_every_alias_happens(alias: str) -> None:
    assert Cron(alias).next(NEW_YEAR) > NEW_YEAR


@pytest.mark.parametrize(
    ("expression", "messages"),
    [
        ("60 * * * *", ["the minute is wrong: '60'"]),
        ("0 6 * * fry", ["the day of week is wrong: 'fry'"]),
        (
            "99 24 0 13 8",
            [
                "the minute is wrong: '99'",
                "the hour is wrong: '24'",
                "the day of month is wrong: '0'",
                "the month is wrong: '13'",
                "the day of week is wrong: '8'",
            ],
        ),
        ("*/0 * * * *", ["the minute is wrong: '*/0'"]),
        ("5-1 * * * *", ["the minute is wrong: '5-1'"]),
        ("0 6 * *", ["it has 4 fields, not 5"]),
        ("0 0 6 * * *", ["it has 6 fields, not 5; seconds are not supported"]),
        ("", ["it has 0 fields, not 5"]),
        ("0 0 31 2 *", ["it never happens: no month has such a day"]),
        ("0 0 */28 2 MON#3", ["it never happens: no month has such a day"]),
        ("@dayly", ["there is no alias '@dayly'. Did you mean '@daily'?"]),
        ("@reboot", ["there is no alias '@reboot'"]),
        (f"{'9' * 5000} * * * *", ["the minute is wrong: '999"]),
        (None, ["the expression must be text, not None"]),
    ],
)
def test_each_faulty_field_is_named(expression: Any, messages: list[str]) -> None:
    with pytest.raises(DefinitionError) as raised:
        Cron(expression)
    for problem, message in zip(raised.value.problems, messages, strict=True):
        assert problem.message.startswith(message)
        assert problem.hint
        assert problem.file == __file__


@pytest.mark.parametrize(
    ("timezone", "message"),
    [
        ("Europe/Berln", "there is no time zone 'Europe/Berln'. Did you mean 'Europe/Berlin'?"),
        ("Europe", "there is no time zone 'Europe'"),
        ("", "there is no time zone ''"),
        ("../etc/passwd", "there is no time zone '../etc/passwd'"),
        ("\0", "there is no time zone '\\x00'"),
        (1, "the time zone must be a name, not 1"),
    ],
)
def test_an_unknown_time_zone_is_refused(timezone: Any, message: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        Cron("0 6 * * *", timezone)
    (problem,) = raised.value.problems
    assert problem.message.startswith(message)


def test_a_faulty_schedule_still_works_where_problems_are_collected() -> None:
    with collecting() as problems:
        schedule = Cron("0 6", timezone="Mars")
    assert len(problems) == 2
    assert schedule.next(NEW_YEAR) == NEW_YEAR + timedelta(days=1)


def test_a_schedule_given_as_text_is_refused_with_the_cron_to_write() -> None:
    with pytest.raises(BadValue) as raised:
        parse_schedule("0 6 * * *")
    assert raised.value.message == "must be a Cron, not '0 6 * * *'"
    assert raised.value.hint == "write schedule=Cron('0 6 * * *')"
    assert parse_schedule(None) is None


@given(
    st.text(string.printable + "²")
    | st.lists(st.text("0123456789*/-,#LWMON@", min_size=1), min_size=5, max_size=5).map(" ".join)
)
def test_any_expression_is_taken_or_reported(expression: str) -> None:
    with collecting():
        schedule = Cron(expression)
    assert schedule.next(NEW_YEAR) > NEW_YEAR
