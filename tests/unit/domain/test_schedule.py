"""The paragraph "When is the next rotation?" as a table of cases."""

import statistics
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from keyturn.api import Schedule
from keyturn.domain import cron
from keyturn.domain.schedule import Cause, Due, History, next_rotation, spread, validate_schedule

UID = "6d2c7a0e-8c1f-4a57-9c39-0f6f8f2f6b11"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SECOND = timedelta(seconds=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NEW_YEAR = utc("2026-01-01 00:00")
LONG_AGO = utc("2020-01-01 00:00")


def history(
    *,
    last: datetime | None = None,
    created: datetime = LONG_AGO,
    object_created: datetime = LONG_AGO,
    edited: datetime | None = None,
    scheduled: datetime | None = None,
    attempt: datetime | None = None,
    failed: bool = False,
) -> History:
    return History(
        secret_created=created,
        object_created=object_created,
        last_success=last,
        schedule_edited=edited,
        last_schedule_time=scheduled,
        last_attempt_time=attempt,
        last_attempt_failed=failed,
    )


def every(interval: str, window: str = "0s") -> Schedule:
    return Schedule(every=interval, window=window)


def at(expression: str, zone: str | None = None, window: str = "0s") -> Schedule:
    return Schedule(cron=expression, time_zone=zone, window=window)


def due(schedule: Schedule | None, past: History, now: datetime = NEW_YEAR, uid: str = UID) -> Due:
    found = next_rotation(schedule, past, uid=uid, now=now)
    assert found is not None
    return found


def slots(expression: str, zone: str, *, after: str, count: int) -> list[str]:
    """The next slots, in UTC; `after` is UTC too."""
    found = cron.slots_after(expression, zone, utc(after))
    return [next(found).strftime("%m-%d %H:%M") for _ in range(count)]


class TestEvery:
    def test_without_a_schedule_nothing_is_due(self) -> None:
        assert next_rotation(None, history(), uid=UID, now=NEW_YEAR) is None

    def test_the_interval_counts_from_the_last_success_whoever_started_it(self) -> None:
        last = utc("2026-01-10 08:15:30")
        assert due(every("30d"), history(last=last)) == Due(slot=last + 30 * DAY, start=last + 30 * DAY)

    def test_a_secret_that_was_never_rotated_counts_from_its_creation(self) -> None:
        assert due(every("4h"), history(created=utc("2026-01-10 08:15"))).slot == utc("2026-01-10 12:15")

    def test_an_interval_is_so_many_hours_even_where_the_clocks_change(self) -> None:
        before = datetime(2026, 3, 28, 12, tzinfo=ZoneInfo("Europe/Berlin"))
        assert due(every("1d"), history(last=before)).slot == utc("2026-03-29 11:00")

    def test_a_leap_day_is_a_day(self) -> None:
        assert due(every("1d"), history(last=utc("2028-02-28 12:00"))).slot == utc("2028-02-29 12:00")

    def test_the_start_is_the_slot_and_the_objects_place_in_the_window(self) -> None:
        found = due(every("30d", window="2h"), history(last=NEW_YEAR))
        assert found.start - found.slot == spread(UID, window=2 * HOUR) > timedelta(0)

    def test_a_secret_overdue_when_its_object_is_created_starts_within_one_window_from_then(self) -> None:
        seen = utc("2026-01-10 09:00")
        found = due(every("30d", window="2h"), history(last=LONG_AGO, object_created=seen))
        assert found == Due(slot=seen, start=seen + spread(UID, window=2 * HOUR), cause=Cause.OVERDUE_AT_START)

    def test_a_secret_that_becomes_due_after_its_object_was_created_keeps_its_slot(self) -> None:
        found = due(every("30d"), history(last=NEW_YEAR, object_created=utc("2026-01-30 23:59")))
        assert found == Due(slot=utc("2026-01-31 00:00"), start=utc("2026-01-31 00:00"))

    def test_an_edit_that_makes_it_overdue_starts_within_one_window_from_the_edit(self) -> None:
        edited = utc("2026-03-01 10:00")
        found = due(every("7d", window="2h"), history(last=NEW_YEAR, edited=edited))
        assert found == Due(slot=edited, start=edited + spread(UID, window=2 * HOUR), cause=Cause.OVERDUE_AT_START)

    def test_an_edit_that_does_not_make_it_overdue_counts_from_the_last_success_as_ever(self) -> None:
        assert due(every("90d"), history(last=NEW_YEAR, edited=utc("2026-03-01 10:00"))).slot == NEW_YEAR + 90 * DAY

    @pytest.mark.parametrize(("interval", "pause"), [("4h", timedelta(minutes=24)), ("5d", 12 * HOUR), ("10d", DAY), ("1000d", DAY)])
    def test_after_a_failure_it_is_tried_again_after_a_tenth_of_the_interval_a_day_at_most(self, interval: str, pause: timedelta) -> None:
        slot = due(every(interval), history(last=NEW_YEAR)).slot
        attempt = slot + timedelta(minutes=3)
        found = due(every(interval), history(last=NEW_YEAR, scheduled=slot, attempt=attempt, failed=True))
        assert found == Due(slot=attempt + pause, start=attempt + pause, cause=Cause.RETRY)

    def test_a_manual_run_that_fails_long_before_the_slot_changes_nothing(self) -> None:
        past = history(last=NEW_YEAR, attempt=utc("2026-01-05 00:00"), failed=True)
        assert due(every("30d"), past) == Due(slot=NEW_YEAR + 30 * DAY, start=NEW_YEAR + 30 * DAY)

    def test_a_failure_before_the_last_success_is_forgotten(self) -> None:
        past = history(last=NEW_YEAR, scheduled=utc("2025-12-31 12:00"), attempt=utc("2025-12-31 23:59"), failed=True)
        assert due(every("4h"), past).slot == utc("2026-01-01 04:00")

    def test_a_slot_that_had_its_run_is_not_given_out_again_while_aws_still_tells_the_old_date(self) -> None:
        slot = NEW_YEAR + 10 * DAY
        assert due(every("10d"), history(last=NEW_YEAR, scheduled=slot)).slot == slot + DAY

    def test_missed_while_down_there_is_one_run_for_the_slot(self) -> None:
        found = due(every("1d"), history(last=NEW_YEAR), now=NEW_YEAR + 99 * DAY)
        assert found.slot == NEW_YEAR + DAY
        assert found.has_come(NEW_YEAR + 99 * DAY)


class TestCron:
    def test_the_next_slot_after_now_is_due(self) -> None:
        found = due(at("0 3 * * SUN"), history(object_created=NEW_YEAR))
        assert found == Due(slot=utc("2026-01-04 03:00"), start=utc("2026-01-04 03:00"))

    def test_a_cron_schedule_is_read_in_its_zone(self) -> None:
        assert due(at("0 3 * * *", "America/New_York"), history(object_created=NEW_YEAR)).slot == utc("2026-01-01 08:00")

    def test_an_overdue_secret_waits_for_the_next_slot_after_its_object_was_created(self) -> None:
        past = history(last=LONG_AGO, object_created=utc("2026-01-10 03:00"))
        assert due(at("0 3 * * *"), past, now=utc("2026-01-10 12:00")).slot == utc("2026-01-11 03:00")

    def test_an_edit_counts_from_now_so_that_the_new_schedules_earlier_slots_were_not_missed(self) -> None:
        past = history(last=utc("2026-01-01 03:00"), edited=utc("2026-01-10 12:00"))
        assert due(at("0 11 * * *"), past, now=utc("2026-01-10 12:01")).slot == utc("2026-01-11 11:00")

    @pytest.mark.parametrize(
        ("rotated", "slot"),
        [
            ("2026-01-10 22:59", "2026-01-11 03:00"),
            ("2026-01-10 23:00", "2026-01-11 03:00"),  # four hours exactly
            ("2026-01-10 23:00:01", "2026-01-12 03:00"),
            ("2026-01-11 02:59", "2026-01-12 03:00"),
        ],
    )
    def test_a_slot_less_than_four_hours_after_a_rotation_is_skipped(self, rotated: str, slot: str) -> None:
        now = utc("2026-01-11 02:59:30")
        assert due(at("0 3 * * *"), history(last=utc(rotated)), now=now).slot == utc(slot)

    def test_after_a_failure_it_waits_for_the_next_slot(self) -> None:
        slot = utc("2026-01-04 03:00")
        past = history(last=utc("2025-12-28 03:05"), scheduled=slot, attempt=slot + SECOND, failed=True)
        assert due(at("0 3 * * SUN"), past, now=slot + HOUR) == Due(slot=utc("2026-01-11 03:00"), start=utc("2026-01-11 03:00"))

    def test_missed_while_down_there_is_one_run_for_the_last_slot(self) -> None:
        past = history(last=utc("2026-01-01 03:05"), scheduled=utc("2026-01-01 03:00"))
        now = utc("2026-01-09 12:00")
        found = due(at("0 3 * * *"), past, now=now)
        assert found == Due(slot=utc("2026-01-09 03:00"), start=utc("2026-01-09 03:00"), cause=Cause.MISSED)
        assert due(at("0 3 * * *"), replace(past, last_schedule_time=found.slot), now=now).slot == utc("2026-01-10 03:00")

    def test_the_last_missed_slot_may_be_this_very_moment(self) -> None:
        past = history(last=utc("2026-01-01 03:05"), scheduled=utc("2026-01-01 03:00"))
        assert due(at("0 3 * * *"), past, now=utc("2026-01-09 03:00")).slot == utc("2026-01-09 03:00")

    def test_a_slot_of_which_only_the_spread_is_to_come_is_not_missed(self) -> None:
        past = history(last=utc("2026-01-01 03:05"), scheduled=utc("2026-01-01 03:00"))
        shift = spread(UID, window=12 * HOUR)
        now = utc("2026-01-03 03:00") + shift - SECOND
        found = due(at("0 3 * * *", window="12h"), past, now=now)
        assert found == Due(slot=utc("2026-01-02 03:00"), start=utc("2026-01-02 03:00") + shift)

    def test_a_manual_rotation_between_slot_and_start_serves_the_slot(self) -> None:
        past = history(last=utc("2026-01-04 03:01"), scheduled=utc("2025-12-28 03:00"))
        assert due(at("0 3 * * SUN", window="2h"), past, now=utc("2026-01-04 03:02")).slot == utc("2026-01-11 03:00")

    def test_years_of_missed_slots_of_every_minute_are_looked_through_at_once(self) -> None:
        found = due(at("* * * * *"), history(last=LONG_AGO), now=utc("2026-01-09 12:00:30"))
        assert found.slot == utc("2026-01-09 12:00")

    def test_a_leap_day_comes_when_it_comes(self) -> None:
        assert due(at("0 3 29 2 *"), history(object_created=NEW_YEAR)).slot == utc("2028-02-29 03:00")


class TestTheSpread:
    @pytest.mark.parametrize("window", ["0s", "10m", "6h", "24h"])
    @pytest.mark.parametrize("expression", ["0 */4 * * *", "0 */6 * * *", "30 1,13 * * *", "0 3 * * *"])
    def test_it_neither_skips_nor_doubles_a_slot_even_if_the_window_is_longer_than_their_distance(
        self, expression: str, window: str
    ) -> None:
        """A scheduler's month: looked at each minute that matters, each rotation done two minutes after its start."""
        schedule, past, now, ran = (
            at(expression, window=window),
            history(last=utc("2025-12-20 00:00"), object_created=NEW_YEAR),
            NEW_YEAR,
            [],
        )
        while now < utc("2026-02-01 00:00"):
            found = due(schedule, past, now=now)
            now = max(now, found.start)
            ran.append(found.slot)
            past = replace(past, last_schedule_time=found.slot, last_attempt_time=now, last_success=now + timedelta(minutes=2))
            now += timedelta(minutes=2)
        expected = cron.slots_after(expression, "Etc/UTC", NEW_YEAR)
        assert ran == [next(expected) for _ in ran]
        assert len(ran) > 20

    def test_it_is_the_same_for_the_same_object_and_never_leaves_the_window(self) -> None:
        window = timedelta(seconds=10)
        shifts = [spread(str(number), window=window) for number in range(1000)]
        assert shifts == [spread(str(number), window=window) for number in range(1000)]
        assert min(shifts) == timedelta(0)
        assert max(shifts) == window - SECOND

    def test_no_window_is_no_spread(self) -> None:
        assert spread(UID, window=timedelta(0)) == timedelta(0)

    def test_500_overdue_secrets_applied_together_start_evenly_over_the_window(self) -> None:
        seen, schedule = utc("2026-01-10 09:00"), every("30d", window="1h")
        uids = [str(uuid.uuid5(uuid.UUID(UID), str(number))) for number in range(500)]
        starts = [due(schedule, history(last=LONG_AGO, object_created=seen), now=seen, uid=uid).start - seen for uid in uids]
        per_six_minutes = [sum(1 for start in starts if start // timedelta(minutes=6) == tenth) for tenth in range(10)]
        assert sum(per_six_minutes) == 500
        assert min(per_six_minutes) >= 30
        assert max(per_six_minutes) <= 75
        assert abs(statistics.mean(start.total_seconds() for start in starts) - 1800) < 150

    def test_500_secrets_on_one_cron_schedule_share_the_slot_and_not_the_start(self) -> None:
        uids = [str(uuid.uuid5(uuid.UUID(UID), str(number))) for number in range(500)]
        found = [due(at("0 3 * * *", window="1h"), history(object_created=NEW_YEAR), uid=uid) for uid in uids]
        assert {each.slot for each in found} == {utc("2026-01-01 03:00")}
        assert len({each.start for each in found}) > 400


class TestClockChanges:
    """Slots in UTC over both changes of summer time. What cronsim alone would do with the wildcard rows is different."""

    @pytest.mark.parametrize(
        ("expression", "zone", "after", "expected"),
        [
            # Berlin, 29 March 2026: 02:00 +1 becomes 03:00 +2 at 01:00 UTC
            ("30 2 * * *", "Europe/Berlin", "2026-03-27 12:00", ["03-28 01:30", "03-29 01:00", "03-30 00:30"]),
            ("0 3 * * *", "Europe/Berlin", "2026-03-28 12:00", ["03-29 01:00", "03-30 01:00"]),
            ("0,30 2,3 * * *", "Europe/Berlin", "2026-03-28 12:00", ["03-29 01:00", "03-29 01:30", "03-30 00:00"]),
            ("30 */2 * * *", "Europe/Berlin", "2026-03-28 23:00", ["03-28 23:30", "03-29 01:00", "03-29 02:30"]),
            ("15 * * * *", "Europe/Berlin", "2026-03-28 23:20", ["03-29 00:15", "03-29 01:00", "03-29 01:15", "03-29 02:15"]),
            # Berlin, 25 October 2026: 03:00 +2 becomes 02:00 +1 at 01:00 UTC
            ("30 2 * * *", "Europe/Berlin", "2026-10-24 12:00", ["10-25 00:30", "10-26 01:30"]),
            ("30 2 * * *", "Europe/Berlin", "2026-10-25 00:30", ["10-26 01:30"]),
            ("30 2 * * *", "Europe/Berlin", "2026-10-25 01:10", ["10-26 01:30"]),  # within the second 02:10
            ("0 3 * * *", "Europe/Berlin", "2026-10-24 12:00", ["10-25 02:00", "10-26 02:00"]),
            ("0 * * * *", "Europe/Berlin", "2026-10-24 22:30", ["10-24 23:00", "10-25 00:00", "10-25 02:00", "10-25 03:00"]),
            ("0 * * * *", "Europe/Berlin", "2026-10-25 01:30", ["10-25 02:00", "10-25 03:00"]),
            # New York, 8 March 2026: 02:00 -5 becomes 03:00 -4 at 07:00 UTC
            ("30 2 * * *", "America/New_York", "2026-03-07 12:00", ["03-08 07:00", "03-09 06:30"]),
            ("30 1 * * *", "America/New_York", "2026-03-07 12:00", ["03-08 06:30", "03-09 05:30"]),
            # New York, 1 November 2026: 02:00 -4 becomes 01:00 -5 at 06:00 UTC
            ("30 1 * * *", "America/New_York", "2026-10-31 12:00", ["11-01 05:30", "11-02 06:30"]),
            ("30 1 * * *", "America/New_York", "2026-11-01 06:10", ["11-02 06:30"]),
            ("0 2 * * *", "America/New_York", "2026-10-31 12:00", ["11-01 07:00", "11-02 07:00"]),
            # Lord Howe, 4 October 2026: 02:00 +10:30 becomes 02:30 +11 at 15:30 UTC the day before
            ("15 2 * * *", "Australia/Lord_Howe", "2026-10-02 20:00", ["10-03 15:30", "10-04 15:15"]),
            ("30 2 * * *", "Australia/Lord_Howe", "2026-10-02 20:00", ["10-03 15:30", "10-04 15:30"]),
            # Lord Howe, 5 April 2026: 02:00 +11 becomes 01:30 +10:30 at 15:00 UTC the day before
            ("45 1 * * *", "Australia/Lord_Howe", "2026-04-03 20:00", ["04-04 14:45", "04-05 15:15"]),
            ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04 15:05", ["04-05 15:15"]),
            # Havana, 8 March 2026: 00:00 -5 becomes 01:00 -4; the day has no midnight
            ("0 0 * * *", "America/Havana", "2026-03-07 12:00", ["03-08 05:00", "03-09 04:00"]),
            ("0 */4 * * *", "America/Havana", "2026-03-08 02:00", ["03-08 05:00", "03-08 08:00"]),
            # Apia, 30 December 2011: a day that did not exist
            ("0 12 30 12 *", "Pacific/Apia", "2011-12-01 00:00", ["12-30 10:00", "12-29 22:00"]),
        ],
    )
    def test_a_time_that_does_not_exist_runs_at_the_next_that_does_and_one_that_exists_twice_runs_once(
        self, expression: str, zone: str, after: str, expected: list[str]
    ) -> None:
        assert slots(expression, zone, after=after, count=len(expected)) == expected

    def test_the_slot_that_exists_twice_is_not_due_again_in_the_second_hour(self) -> None:
        first = utc("2026-10-25 00:30")
        past = history(last=utc("2026-10-24 00:35"), scheduled=first, attempt=first, failed=True)
        assert due(at("30 2 * * *", "Europe/Berlin"), past, now=first + HOUR).slot == utc("2026-10-26 01:30")


class TestValidation:
    @pytest.mark.parametrize(
        "schedule",
        [
            every("30d"),
            at("0 3 * * SUN"),
            at("*/15 0-6 1,15 JAN-MAR MON#1", "Europe/Berlin"),
            at("0 3 L * *", "Etc/UTC"),
            at("0 3 29 2 *", "Australia/Lord_Howe"),
        ],
    )
    def test_a_good_schedule_has_nothing_wrong(self, schedule: Schedule) -> None:
        assert validate_schedule(schedule) is None

    @pytest.mark.parametrize(
        ("expression", "complaint"),
        [
            ("0 3 * * * *", "has not five fields (minute, hour, day of month, month, day of week)"),
            ("0 0 3 * * SUN", "has not five fields (minute, hour, day of month, month, day of week)"),
            ("every sunday", "has not five fields (minute, hour, day of month, month, day of week)"),
            ("60 3 * * *", "cannot be read: bad minute"),
            ("0 24 * * *", "cannot be read: bad hour"),
            ("0 3 32 * *", "cannot be read: bad day-of-month"),
            ("0 3 30 2 *", "cannot be read: bad day-of-month"),
            ("0 3 * 13 *", "cannot be read: bad month"),
            ("0 3 * * SUNDAY", "cannot be read: bad day-of-week"),
            ("*/0 3 * * *", "cannot be read: bad minute"),
            ("0 3 31 2,4 SUN#6", "cannot be read: bad day-of-week"),
        ],
    )
    def test_a_bad_cron_expression_is_refused_with_the_field_and_the_reason(self, expression: str, complaint: str) -> None:
        assert validate_schedule(at(expression)) == f'spec.rotation.schedule.cron: "{expression}" {complaint}.'

    @pytest.mark.parametrize("zone", ["Europe/Nowhere", "Europe", "localtime", "berlin", "MEZ", "A/B/C"])
    def test_an_unknown_zone_is_refused_with_the_field(self, zone: str) -> None:
        assert validate_schedule(at("0 3 * * *", zone)) == (
            f'spec.rotation.schedule.timeZone: "{zone}" is not the name of an IANA time zone, such as Europe/Berlin.'
        )

    @pytest.mark.parametrize("zone", ["../../etc/passwd", "/etc/localtime", "", "Europe/Berlin\0"])
    def test_a_zone_leads_to_no_other_file(self, zone: str) -> None:
        with pytest.raises(cron.CronError):
            cron.zone(zone)


class TestOverdue:
    def test_a_start_has_come_at_its_instant_and_is_overdue_a_tolerance_later(self) -> None:
        found = Due(slot=NEW_YEAR, start=NEW_YEAR + HOUR)
        assert [found.has_come(NEW_YEAR + HOUR - SECOND), found.has_come(NEW_YEAR + HOUR)] == [False, True]
        assert [found.overdue(NEW_YEAR + 2 * HOUR - SECOND, tolerance=HOUR), found.overdue(NEW_YEAR + 2 * HOUR, tolerance=HOUR)] == [
            False,
            True,
        ]


moments = st.datetimes(min_value=datetime(2024, 1, 1), max_value=datetime(2029, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))
schedules = st.one_of(
    st.builds(every, st.sampled_from(["4h", "13h", "1d", "30d", "400d"]), st.sampled_from(["0s", "1h", "24h"])),
    st.builds(
        at,
        st.sampled_from(["0 3 * * *", "30 2 * * SUN", "*/7 * * * *", "0 */4 * * *", "15 2 29 2 *", "0 0 1 * *", "30 1 * * MON#2"]),
        st.sampled_from([None, "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
        st.sampled_from(["0s", "1h", "24h"]),
    ),
)
histories = st.builds(
    history,
    last=st.none() | moments,
    created=st.just(utc("2023-01-01 00:00")),
    object_created=moments,
    edited=st.none() | moments,
    scheduled=st.none() | moments.map(lambda moment: moment.replace(second=0, microsecond=0)),
    attempt=st.none() | moments,
    failed=st.booleans(),
)


class TestProperties:
    @given(schedule=schedules, past=histories, now=moments)
    def test_a_slot_is_after_the_last_rotation_and_after_the_last_slot_and_not_before_the_schedule_was_there(
        self, schedule: Schedule, past: History, now: datetime
    ) -> None:
        found = due(schedule, past, now=now)
        assert found.slot > past.last_rotation
        assert past.last_schedule_time is None or found.slot > past.last_schedule_time
        assert found.slot >= past.since.replace(microsecond=0)
        assert timedelta(0) <= found.start - found.slot < max(SECOND, timedelta(hours=24))

    @given(schedule=schedules, past=histories, now=moments, later=st.timedeltas(timedelta(0), timedelta(days=400)))
    def test_as_time_goes_by_the_slot_only_moves_on(self, schedule: Schedule, past: History, now: datetime, later: timedelta) -> None:
        assert due(schedule, past, now=now).slot <= due(schedule, past, now=now + later).slot

    @given(schedule=schedules, past=histories, now=moments, fails=st.lists(st.booleans(), min_size=2, max_size=8))
    def test_a_slot_has_one_run_however_its_runs_end(self, schedule: Schedule, past: History, now: datetime, fails: list[bool]) -> None:
        assume(past.last_rotation <= now and past.since <= now and (past.last_schedule_time or now) <= now)
        past, served = replace(past, last_attempt_failed=False), set[datetime]()
        for failed in fails:
            found = due(schedule, past, now=now)
            assert found.slot not in served
            served.add(found.slot)
            now = max(now, found.start)
            past = replace(past, last_schedule_time=found.slot, last_attempt_time=now, last_attempt_failed=failed)
            now += timedelta(minutes=5)
            past = past if failed else replace(past, last_success=now)
