"""Freezes: cron windows and calendars, in their zones; what cannot be read is never no freeze."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.decision.decision import Allows, Situation
from app.decision.freeze import FreezeFile, NoFreeze, read_freezes
from app.decision.gates.freeze import Freeze
from app.foundation.errors import Invalid
from app.knowledge.shipped import knowledge_folder
from app.knowledge.taxonomy import read_taxonomy
from tests.situations import NOW, escalation, situation

TAXONOMY = read_taxonomy(knowledge_folder() / "taxonomy.yaml")
WEEKEND = '{name: weekend, cron: "0 18 * * fri", lasts: 62h, zone: Europe/Berlin, because: rest}'


def write(folder: Path, *freezes: str) -> Path:
    path = folder / "freeze.yaml"
    path.write_text("\n".join(["freezes:", *(f"- {freeze}" for freeze in freezes)]))
    return path


def calendar(folder: Path, *events: str, head: str = "", name: str = "days.ics") -> Path:
    """A calendar of these events, each its lines with / between."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:tests", *([head] if head else [])]
    for number, event in enumerate(events):
        lines += ["BEGIN:VEVENT", *([] if "UID:" in event else [f"UID:{number}"])]
        lines += [*event.split("|"), "END:VEVENT"]
    (folder / name).write_bytes("\r\n".join([*lines, "END:VCALENDAR", ""]).encode())
    return write(folder, f"{{name: days, calendar: {name}, zone: Europe/Berlin, because: away}}")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def until(path: Path, at: str, case: Situation | None = None) -> str | None:
    """When the freeze at this time ends."""
    held = FreezeFile(path, TAXONOMY).read().holding(case or situation(), utc(at))
    return f"{max(one.until for one in held):%Y-%m-%d %H:%M}" if held else None


class TestCron:
    @pytest.mark.parametrize(
        ("at", "ends"),
        [
            ("2026-11-20 16:59:59", None),
            ("2026-11-20 17:00", "2026-11-23 07:00"),
            ("2026-11-23 06:59:59", "2026-11-23 07:00"),
            ("2026-11-23 07:00", None),
            ("2026-07-03 15:59", None),
            ("2026-07-03 16:00", "2026-07-06 06:00"),
        ],
    )
    def test_it_begins_by_the_clock_of_its_zone_and_lasts(
        self, tmp_path: Path, at: str, ends: str | None
    ) -> None:
        assert until(write(tmp_path, WEEKEND), at) == ends

    @pytest.mark.parametrize(
        ("at", "frozen"),
        [("2026-03-29 00:59", False), ("2026-03-29 01:00", True), ("2026-03-29 01:59", True)],
    )
    def test_an_hour_that_the_clock_leaves_out_is_not_left_out(
        self, tmp_path: Path, at: str, frozen: bool
    ) -> None:
        path = write(tmp_path, '{name: n, cron: "30 2 * * *", lasts: 1h, zone: Europe/Berlin, because: b}')
        assert bool(until(path, at)) is frozen

    def test_windows_that_overlap_are_one(self, tmp_path: Path) -> None:
        path = write(tmp_path, '{name: n, cron: "0 * * * *", lasts: 90m, because: b}')
        assert until(path, "2026-11-20 12:15") == "2026-11-20 13:30"

    def test_it_speaks_of_what_it_says(self, tmp_path: Path) -> None:
        path = write(tmp_path, WEEKEND.replace("because", "when: {environment: production}, because"))
        assert until(path, "2026-11-21 12:00") is None
        assert until(path, "2026-11-21 12:00", situation(environment="production")) is not None


class TestCalendar:
    def test_whole_days_are_those_of_the_zone(self, tmp_path: Path) -> None:
        path = calendar(tmp_path, "DTSTART;VALUE=DATE:20261224|DTEND;VALUE=DATE:20261227")
        days = ["2026-12-23 22:59", "2026-12-23 23:00", "2026-12-26 22:59", "2026-12-26 23:00"]
        assert [until(path, at) for at in days] == [None, "2026-12-26 23:00", "2026-12-26 23:00", None]

    def test_a_day_without_an_end_is_one_day(self, tmp_path: Path) -> None:
        path = calendar(tmp_path, "DTSTART;VALUE=DATE:20261224")
        assert [bool(until(path, f"2026-12-{day} 12:00")) for day in (23, 24, 25)] == [False, True, False]

    @pytest.mark.parametrize(
        "start",
        [
            "DTSTART;TZID=America/New_York:20261201T090000",
            "DTSTART:20261201T140000Z",
            "DTSTART:20261201T150000",
        ],
    )
    def test_times_are_in_their_own_zone_or_utc_or_that_of_the_file(self, tmp_path: Path, start: str) -> None:
        path = calendar(tmp_path, f"{start}|DURATION:PT2H")
        times = ["2026-12-01 13:59", "2026-12-01 14:00", "2026-12-01 15:59", "2026-12-01 16:00"]
        assert [bool(until(path, at)) for at in times] == [False, True, True, False]

    def test_the_calendars_own_zone_comes_before_the_files(self, tmp_path: Path) -> None:
        path = calendar(tmp_path, "DTSTART:20261201T090000|DURATION:PT1H", head="X-WR-TIMEZONE:Asia/Tokyo")
        assert until(path, "2026-12-01 00:30") == "2026-12-01 01:00"

    def test_it_comes_again_by_the_clock_on_the_wall_but_for_what_is_left_out_and_moved(
        self, tmp_path: Path
    ) -> None:
        zone = ";TZID=Europe/Berlin:"
        path = calendar(
            tmp_path,
            f"UID:w|DTSTART{zone}20260301T220000|DURATION:PT4H|RRULE:FREQ=WEEKLY;UNTIL=20260412T200000Z"
            f"|EXDATE{zone}20260315T220000",
            f"UID:w|RECURRENCE-ID{zone}20260322T220000|DTSTART{zone}20260323T220000|DURATION:PT4H",
            f"UID:w|RECURRENCE-ID{zone}20260405T220000|DTSTART{zone}20260405T220000|STATUS:CANCELLED",
        )
        evenings = {
            f"2026-{day}": bool(until(path, f"2026-{day} 21:30"))
            for day in (
                "02-22",
                "03-01",
                "03-08",
                "03-15",
                "03-22",
                "03-23",
                "03-29",
                "04-05",
                "04-12",
                "04-19",
            )
        }
        assert [day for day, frozen in evenings.items() if frozen] == [
            "2026-03-01",
            "2026-03-08",
            "2026-03-23",
            "2026-03-29",
            "2026-04-12",
        ]
        assert until(path, "2026-03-29 20:00") == "2026-03-30 00:00"
        assert until(path, "2026-03-08 20:00") is None

    def test_a_row_of_whole_days_ends_with_its_last_day(self, tmp_path: Path) -> None:
        path = calendar(
            tmp_path, "DTSTART;VALUE=DATE:20261201|RRULE:FREQ=DAILY;UNTIL=20261203|RDATE;VALUE=DATE:20261210"
        )
        frozen = [day for day in range(1, 13) if until(path, f"2026-12-{day:02} 12:00")]
        assert frozen == [1, 2, 3, 10]

    def test_what_was_cancelled_is_none(self, tmp_path: Path) -> None:
        path = calendar(tmp_path, "DTSTART;VALUE=DATE:20261201|STATUS:CANCELLED")
        assert until(path, "2026-12-01 12:00") is None

    @pytest.mark.parametrize(
        ("event", "says"),
        [
            ("DTSTART:garbage|SUMMARY:party", "the event 'party': DTSTART"),
            ("SUMMARY:party", "the event 'party' has no DTSTART"),
            ("DTSTART;TZID=Nowhere/Land:20261201T090000", "there is no time zone 'Nowhere/Land'"),
            ("DTSTART:20261201T090000Z|DTEND:20261201T080000Z", "ends before it begins"),
            ("DTSTART:20261201T090000Z|RRULE:FREQ=SECONDLY", "more often than daily"),
        ],
    )
    def test_what_cannot_be_understood_is_no_calendar(self, tmp_path: Path, event: str, says: str) -> None:
        with pytest.raises(Invalid, match="names calendars that cannot be read") as caught:
            read_freezes(calendar(tmp_path, event), TAXONOMY)
        assert says in str(caught.value.places)

    @pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xfe\x00"])
    def test_what_is_none_is_told(self, tmp_path: Path, content: bytes) -> None:
        path = calendar(tmp_path)
        (tmp_path / "days.ics").write_bytes(content)
        with pytest.raises(Invalid, match=r"freeze\.yaml names calendars that cannot be read"):
            read_freezes(path, TAXONOMY)


class TestFile:
    @pytest.mark.parametrize(
        ("freeze", "says"),
        [
            ("{name: a, because: b}", "give either cron and lasts, or calendar"),
            ('{name: a, cron: "0 18 * * fri", because: b}', "give either cron and lasts, or calendar"),
            ('{name: a, cron: "61 * * * *", lasts: 1h, because: b}', "is no cron expression"),
            ('{name: a, cron: "* * * * * *", lasts: 1h, because: b}', "is no cron expression"),
            ('{name: a, cron: "0 18 * * fri", lasts: long, because: b}', "write how long as 90m, 62h or 3d"),
            ('{name: a, cron: "0 18 * * fri", lasts: 0h, because: b}', "greater than"),
            ("{name: a, calendar: a.ics, zone: Berlin, because: b}", "there is no time zone 'Berlin'"),
            ("{name: a, calender: a.ics, because: b}", "did you mean 'calendar'?"),
            (
                "{name: a, calendar: a.ics, when: {strategy: recover_servce}, because: b}",
                "did you mean 'recover_service'?",
            ),
        ],
    )
    def test_a_mistake_is_told_with_its_line(self, tmp_path: Path, freeze: str, says: str) -> None:
        with pytest.raises(Invalid) as caught:
            read_freezes(write(tmp_path, freeze), TAXONOMY)
        place, what = caught.value.places[0]
        assert place.startswith("line 2 (freezes.0")
        assert says in what

    def test_a_calendar_that_is_missing_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(Invalid) as caught:
            read_freezes(write(tmp_path, "{name: a, calendar: a.ics, because: b}"), TAXONOMY)
        assert caught.value.places == (("a.ics", "cannot be read: No such file or directory"),)

    def test_it_and_its_calendars_are_read_again_when_they_change(self, tmp_path: Path) -> None:
        file = FreezeFile(tmp_path / "freeze.yaml", TAXONOMY)
        assert file.read().freezes == ()
        calendar(tmp_path, "DTSTART;VALUE=DATE:20261201")
        assert file.read().holding(situation(), utc("2026-12-01 12:00"))
        calendar(tmp_path, "DTSTART;VALUE=DATE:20261202")
        os.utime(tmp_path / "days.ics", (1, 1))
        assert not file.read().holding(situation(), utc("2026-12-01 12:00"))
        (tmp_path / "days.ics").unlink()
        with pytest.raises(Invalid):
            file.read()

    def test_one_that_somebody_named_must_be_there(self, tmp_path: Path) -> None:
        with pytest.raises(Invalid, match="cannot be read: No such file"):
            FreezeFile(tmp_path / "none.yaml", TAXONOMY, needed=True).read()


class TestGate:
    def test_frozen_blocks_and_no_approval_passes(self, tmp_path: Path) -> None:
        gate = Freeze(Freeze.Params(), FreezeFile(write(tmp_path, WEEKEND), TAXONOMY))
        for approver in ("", "ada"):
            verdict = gate.check(situation(approved_by=approver), utc("2026-11-21 12:00"))
            assert (verdict.allows, verdict.reason) == (Allows.BLOCK, Freeze.Reason.FROZEN)
            assert verdict.says == "frozen until 2026-11-23 07:00 UTC by 'weekend': rest"
            assert verdict.until == utc("2026-11-23 07:00")
        assert gate.check(situation(), NOW).allows is Allows.ALLOW

    def test_unreadable_asks_approved_or_not_and_says_where(self, tmp_path: Path) -> None:
        gate = Freeze(Freeze.Params(), FreezeFile(write(tmp_path, "{name: a}"), TAXONOMY))
        for approver in ("", "ada"):
            verdict = gate.check(situation(approved_by=approver), NOW)
            assert (verdict.allows, verdict.reason) == (Allows.ASK, Freeze.Reason.UNREADABLE)
            assert "line 2 (freezes.0.because)" in verdict.says

    def test_telling_a_person_is_never_frozen(self, tmp_path: Path) -> None:
        gate = Freeze(Freeze.Params(), FreezeFile(write(tmp_path, WEEKEND), TAXONOMY))
        assert gate.check(situation(plan=escalation()), utc("2026-11-21 12:00")).allows is Allows.ALLOW

    def test_without_freezes_nothing_is(self) -> None:
        assert Freeze(Freeze.Params(), NoFreeze()).check(situation(), NOW).reason == Freeze.Reason.OPEN
