"""Whom a question reaches, and when: owners, reminders, the chain, expiry; and who may answer it."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from app.decision.decide import Decide, default_gates
from app.decision.freeze import NoFreeze
from app.decision.policy import FixedPolicy, PolicyFile
from app.decision.settings import DecisionSettings
from app.foundation.errors import Conflict, Invalid, NotAllowed, Unavailable
from app.incidents.incident import State
from app.people import store
from app.people.directory import DirectoryFile
from app.people.notify import Notify
from app.people.person import Person, Role
from app.people.settings import PeopleSettings
from app.pipeline.card import Cards
from app.pipeline.desk import Desk
from app.pipeline.pipeline import Pipeline
from app.pipeline.situation import Situations
from app.pipeline.tell import Telling
from app.remediation import approve
from app.remediation.approve import Answer, Approval
from app.remediation.remediate import Acts
from app.remediation.strategies import STRATEGIES
from app.remediation.tables import ApprovalRow
from tests.pipeline.conftest import Site

MINUTE = timedelta(minutes=1)
HOOK = {"type": "webhook", "url": {"env": "HOOK"}}
PEOPLE = {
    "people": [
        {"name": "ada", "role": "approver", "slack": "U01", "also": ["ada-lovelace"]},
        {"name": "bob", "role": "approver"},
    ],
    "channels": {"data": HOOK, "books": HOOK, "rest": HOOK, "chief": HOOK, "boss": HOOK},
    "routes": [
        {
            "owner": "data",
            "to": ["data"],
            "then": [{"after": "20m", "to": ["chief"]}, {"after": "50m", "to": ["boss"]}],
        },
        {"owner": "librarians", "to": ["books"]},
        {"to": ["rest"]},
    ],
}
AUTHOR = """rules:
  - {name: four-eyes, when: {environment: ask}, then: ask, not_by: author, because: so}
"""


class House:
    """A site whose people are told through routes; nothing leaves it."""

    def __init__(self, site: Site, policy: Path | None = None, runbook_owner: str = "") -> None:
        self.site = site
        self.clock, self.database = site.clock, site.database
        self.file = site.folder / "people.yaml"
        self.file.write_text(yaml.safe_dump(PEOPLE))
        self.directory = DirectoryFile(self.file)
        strategies = {kind.id: kind(site._targets) for kind in STRATEGIES}
        cards = Cards(
            self.database,
            site._targets,
            strategies,
            owner_of=lambda runbook: runbook_owner if runbook else "",
        )
        self.card = cards.card
        self.telling = [self._telling(cards) for _ in range(2)]
        gates = site.gates
        if policy is not None:
            source = FixedPolicy(PolicyFile(policy, site.taxonomy).read())
            gates = default_gates(source, DecisionSettings(), NoFreeze())
        site.pipeline = Pipeline(
            self.database,
            self.clock,
            lambda: site.brain,
            Decide(gates),
            strategies,
            site._targets,
            Acts(self.database, self.clock, strategies, site.folder / "backups"),
            site.learn,
            self.telling[0],
            timedelta(hours=1),
            timedelta(days=30),
            Situations(site._targets, site.taxonomy),
        )
        self.desk = Desk(
            self.database,
            self.clock,
            site.taxonomy,
            strategies,
            self.directory,
            site.learn,
            timedelta(days=30),
        )

    def _telling(self, cards: Cards) -> Telling:
        notify = Notify(PeopleSettings(), self.directory, self.database, self.clock, cards.card)
        return Telling(self.database, self.clock, notify, cards, remind_every=15 * MINUTE)

    def ask(self, name: str = "nightly", **target: str) -> str:
        """An incident whose plan waits."""
        return self.site.incident({**self.site.job(name, "ask"), **target})

    def approval(self, incident_id: str) -> Approval:
        with self.database.reading() as session:
            return approve.of_incident(session, incident_id)[-1]

    def told(self, incident_id: str, kind: str) -> list[str]:
        with self.database.reading() as session:
            found = store.deliveries(session, incident_id)
        return sorted(one.channel for one in found if one.message.kind == kind)

    def pass_(self, minutes: int, sweeps: int = 1) -> None:
        """So many minutes pass, with a sweep of every worker at each."""
        for _ in range(minutes):
            self.clock.advance(MINUTE)
            for _ in range(sweeps):
                for telling in self.telling:
                    telling.remind()


def person(name: str, role: Role = Role.APPROVER) -> Person:
    return Person(key_id=f"key:{name}", name=name, role=role)


@pytest.fixture
def house(site: Site) -> House:
    return House(site)


class TestOnCall:
    def test_the_targets_owner_is_told(self, house: House) -> None:
        assert house.told(house.ask(), "waiting") == ["data"]

    def test_without_a_route_of_its_own_the_runbooks_owner_is(self, site: Site) -> None:
        house = House(site, runbook_owner="librarians")
        house.file.write_text(yaml.safe_dump({**PEOPLE, "routes": PEOPLE["routes"][1:]}))
        assert house.told(house.ask(), "waiting") == ["books"]

    def test_else_the_default(self, house: House) -> None:
        house.file.write_text(yaml.safe_dump({**PEOPLE, "routes": PEOPLE["routes"][1:]}))
        assert house.told(house.ask(), "waiting") == ["rest"]


class TestReminders:
    def test_every_quarter_of_an_hour_and_the_chain_after_its_time(self, house: House) -> None:
        incident_id = house.ask()
        house.pass_(14)
        assert house.told(incident_id, "reminder") == []
        house.pass_(1)
        assert house.told(incident_id, "reminder") == ["data"]
        house.pass_(5)
        assert house.told(incident_id, "reminder") == ["chief", "data", "data"]
        house.pass_(30)
        assert "boss" in house.told(incident_id, "reminder")

    def test_two_workers_remind_once(self, house: House) -> None:
        incident_id = house.ask()
        house.pass_(15, sweeps=3)
        assert house.told(incident_id, "reminder") == ["data"]

    def test_not_while_repairs_are_paused(self, house: House) -> None:
        incident_id = house.ask()
        house.site.pause(True)
        house.pass_(30)
        assert house.told(incident_id, "reminder") == []
        house.site.pause(False)
        house.pass_(1)
        # It has waited for the chain's first step by now.
        assert house.told(incident_id, "reminder") == ["chief", "data"]

    @pytest.mark.parametrize("state", [State.RESOLVED, State.SUPPRESSED])
    def test_not_once_the_incident_is_over(self, house: House, state: State) -> None:
        incident_id = house.ask()
        house.site.move(incident_id, state)
        house.pass_(30)
        assert house.told(incident_id, "reminder") == []

    def test_not_once_it_has_its_answer_or_its_time_has_passed(self, house: House) -> None:
        answered, expired = house.ask("one"), house.ask("two")
        house.desk.deny(person("ada"), house.approval(answered).id, None)
        house.pass_(59)
        before = house.told(expired, "reminder")
        house.pass_(10)
        assert house.told(answered, "reminder") == []
        assert house.told(expired, "reminder") == before

    def test_a_flood_of_questions_is_no_flood_of_messages(self, house: House) -> None:
        first = house.ask()
        asked, now = house.approval(first), house.clock.now()
        with house.database.writing() as session:
            for number in range(100):
                made = approve.ask(
                    session,
                    f"dec_{number}",
                    first,
                    "abc",
                    now,
                    timedelta(hours=1),
                    remind_at=now + 15 * MINUTE,
                )
                session.get_one(ApprovalRow, made).decision_id = asked.decision_id
        house.telling = house.telling[:1]
        house.pass_(14)
        house.pass_(1, sweeps=4)
        with house.database.reading() as session:
            found = [one.message.text for one in store.deliveries(session, first)]
            assert approve.to_remind(session, house.clock.now(), ["firing"]) == []
        assert len([text for text in found if "still waiting" in text]) == 11
        assert len([text for text in found if "101 questions wait for an answer in all" in text]) == 1


class TestExpiry:
    def test_everybody_on_the_chain_is_told(self, house: House) -> None:
        incident_id = house.ask()
        house.clock.advance(61 * MINUTE)
        house.site.pipeline.unfollowed()
        approval = house.approval(incident_id)
        assert approval.answer is Answer.EXPIRED
        house.site.pipeline.read_answer(approval.id)
        assert house.told(incident_id, "escalated") == ["boss", "chief", "data"]

    def test_a_no_is_told_to_the_first_alone(self, house: House) -> None:
        incident_id = house.ask()
        house.desk.deny(person("ada"), house.approval(incident_id).id, None)
        house.site.pipeline.read_answer(house.approval(incident_id).id)
        assert house.told(incident_id, "escalated") == ["data"]


class TestSnooze:
    def test_nobody_is_reminded_until_then_and_it_waits_that_much_longer(self, house: House) -> None:
        incident_id = house.ask()
        before = house.approval(incident_id)
        house.clock.advance(10 * MINUTE)
        said = house.desk.snooze(person("ada"), before.id, timedelta(hours=2), "after lunch")
        after = house.approval(incident_id)
        assert said.startswith("ada put it off until 2026-")
        assert after.expires_at - before.expires_at == timedelta(hours=2)
        house.pass_(119)
        assert house.told(incident_id, "reminder") == []
        house.pass_(1)
        assert house.told(incident_id, "reminder") == ["data"]  # the chain counts anew
        house.pass_(20)
        assert "chief" in house.told(incident_id, "reminder")

    def test_by_a_day_in_all(self, house: House) -> None:
        approval = house.approval(house.ask())
        house.desk.snooze(person("ada"), approval.id, timedelta(hours=20))
        house.clock.advance(timedelta(hours=19))
        with pytest.raises(Conflict, match="by 24 hours in all"):
            house.desk.snooze(person("bob"), approval.id, timedelta(hours=6))
        house.desk.snooze(person("bob"), approval.id, timedelta(hours=5))

    @pytest.mark.parametrize("lasts", [timedelta(0), -MINUTE, timedelta(days=1, minutes=1)])
    def test_by_no_odd_time(self, house: House, lasts: timedelta) -> None:
        approval = house.approval(house.ask())
        with pytest.raises(Invalid):
            house.desk.snooze(person("ada"), approval.id, lasts)

    def test_not_by_who_may_not_answer_and_not_once_it_is_over(self, house: House) -> None:
        approval = house.approval(house.ask())
        with pytest.raises(NotAllowed):
            house.desk.snooze(person("eve", Role.OPERATOR), approval.id, MINUTE)
        house.clock.advance(61 * MINUTE)
        with pytest.raises(Conflict, match="nothing to put off"):
            house.desk.snooze(person("ada"), approval.id, MINUTE)

    def test_put_off_in_the_last_moment_it_does_not_expire(self, house: House) -> None:
        approval = house.approval(house.ask())
        house.clock.advance(59 * MINUTE)
        house.desk.snooze(person("ada"), approval.id, timedelta(hours=1))
        # A sweep had found it overdue just before.
        with pytest.raises(Conflict), house.database.writing() as session:
            approve.answer(session, approval.id, Answer.EXPIRED, actor="mendline", at=house.clock.now())
        assert house.approval(approval.incident_id).answer is None


class TestTheirOwn:
    @pytest.fixture
    def strict(self, site: Site, tmp_path: Path) -> House:
        (tmp_path / "policy.yaml").write_text(AUTHOR)
        return House(site, tmp_path / "policy.yaml")

    def labelled(self, house: House, **labels: str) -> Approval:
        target = house.site.job("nightly", "ask")
        return house.approval(house.site.incident(target, labels=labels))

    @pytest.mark.parametrize("name", ["ada", "Ada-Lovelace", "U01", "cli:ada", "cli:ada-lovelace"])
    def test_nobody_approves_their_own_change_under_any_name(self, strict: House, name: str) -> None:
        approval = self.labelled(strict, author="ada-lovelace")
        assert approval.not_by == ("ada-lovelace",)
        with pytest.raises(NotAllowed, match="somebody else's yes"):
            strict.desk.approve(person(name), approval.id, approval.plan_hash)
        assert strict.approval(approval.incident_id).answer is None
        strict.desk.approve(person("bob"), approval.id, approval.plan_hash)

    def test_but_may_deny_it(self, strict: House) -> None:
        approval = self.labelled(strict, author="ada-lovelace")
        strict.desk.deny(person("ada"), approval.id, None)
        assert strict.approval(approval.incident_id).answer is Answer.DENIED

    def test_where_nobody_knows_whose_it_is_two_must_say_yes(self, strict: House) -> None:
        approval = self.labelled(strict)
        assert (approval.people, approval.not_by) == (2, ())

    def test_while_the_file_cannot_be_read_nobody_can_tell_who_is_who(self, strict: House) -> None:
        approval = self.labelled(strict, author="ada-lovelace")
        strict.file.write_text("people: [")
        with pytest.raises(Unavailable, match="who is who"):
            strict.desk.approve(person("bob"), approval.id, approval.plan_hash)


class TestTwoPersons:
    PAIRS: Sequence[tuple[str, str]] = tuple(pairwise(("ada", "U01", "cli:ada", "ADA", "ada-lovelace")))

    @pytest.fixture
    def asked(self, house: House) -> Approval:
        with house.database.writing() as session:
            approval_id = approve.ask(
                session, "dec_1", "inc_1", "abc", house.clock.now(), timedelta(hours=1), people=2
            )
            return approve.get(session, approval_id)

    @pytest.mark.parametrize(("first", "second"), PAIRS)
    def test_one_person_under_two_names_is_one(
        self, house: House, asked: Approval, first: str, second: str
    ) -> None:
        house.desk.approve(person(first), asked.id, "abc")
        with pytest.raises(Conflict, match="ada has said yes already"):
            house.desk.approve(person(second), asked.id, "abc")
        assert "bob approved it" in house.desk.approve(person("bob"), asked.id, "abc")

    def test_also_when_the_file_says_so_only_now(self, house: House, asked: Approval) -> None:
        house.desk.approve(person("the-countess"), asked.id, "abc")
        house.file.write_text(house.file.read_text().replace("ada-lovelace", "the-countess"))
        with pytest.raises(Conflict, match="the-countess has said yes already"):
            house.desk.approve(person("ada"), asked.id, "abc")
        house.desk.approve(person("bob"), asked.id, "abc")


@pytest.mark.parametrize(
    ("answer", "fields"),
    [
        (Answer.APPROVED, {"right_type": "quota_exceeded"}),
        (Answer.APPROVED, {"other": "recover_service"}),
        (Answer.DENIED, {"right_type": "quota_exceeded", "other": "recover_service"}),
        (Answer.DENIED, {"other": "magic"}),
    ],
)
def test_an_answer_that_says_two_things_is_none(house: House, answer: Answer, fields: dict[str, str]) -> None:
    approval = house.approval(house.ask())
    with pytest.raises(Invalid):
        house.desk.answer(person("ada"), approval.id, answer, **fields)
    assert house.approval(approval.incident_id).answer is None


def test_a_card_names_other_fixes_without_asking_the_far_side(house: House) -> None:
    target = house.site.job("nightly", "ask", allow=("retry_with_exponential_backoff", "recover_service"))
    incident_id = house.site.incident(target)
    asked = house.site.jobs.asked.total()
    card = house.card(incident_id)
    assert card is not None
    assert card.question is not None
    assert card.question.others == ("recover_service",)
    assert card.owners[0] == "data"
    assert house.site.jobs.asked.total() == asked
