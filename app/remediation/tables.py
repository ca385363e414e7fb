"""Rows of approvals, remediations, their journal and outcomes. Append-only but for targets that are held."""

from datetime import datetime

from sqlalchemy import Column, Index, Text, text
from sqlmodel import Field, SQLModel

from app.db.engine import UtcDateTime


class ApprovalRow(SQLModel, table=True):
    """A question to a person: may this very plan run? Waiting until it has an answer."""

    __tablename__ = "approval"
    __table_args__ = (
        Index(
            "ix_approval_remind_at",
            "remind_at",
            sqlite_where=text("waiting"),
            postgresql_where=text("waiting"),
        ),
    )

    id: str = Field(primary_key=True)
    incident_id: str = Field(index=True)
    decision_id: str
    plan_hash: str
    asked_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    expires_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    # How many different persons must say yes.
    people: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    waiting: bool = Field(default=True, index=True)
    # JSON list of who may not say yes: whoever made the change that it is about.
    not_by: str = Field(default="[]", sa_column=Column(Text, nullable=False, server_default="[]"))
    # When people are to be reminded next; None: never.
    remind_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime, nullable=True))
    snoozed_until: datetime | None = Field(default=None, sa_column=Column(UtcDateTime, nullable=True))
    # False until what follows from the answer has begun: what a crash left is found by it.
    followed: bool = Field(default=False, index=True)


class ApprovalAnswerRow(SQLModel, table=True):
    """The one answer; the primary key makes it single use."""

    __tablename__ = "approval_answer"
    __audited__ = True

    approval_id: str = Field(primary_key=True)
    answer: str
    actor: str
    at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    reason: str
    right_type: str
    # The strategy that a person wants to see a plan of instead.
    other: str = Field(default="", sa_column_kwargs={"server_default": ""})


class SnoozeRow(SQLModel, table=True):
    """One person's wish to be asked again later."""

    __tablename__ = "snooze"
    __audited__ = True

    id: str = Field(primary_key=True)
    approval_id: str = Field(index=True)
    actor: str
    at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    until: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    reason: str


class ApprovalYesRow(SQLModel, table=True):
    """One person's yes; the primary key makes it one person's one."""

    __tablename__ = "approval_yes"
    __audited__ = True

    approval_id: str = Field(primary_key=True)
    actor: str = Field(primary_key=True)
    at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    reason: str


class RemediationRow(SQLModel, table=True):
    """One repair that was begun; `id` is derived from the decision, so beginning twice is once."""

    __tablename__ = "remediation"
    __audited__ = True
    __table_args__ = (
        Index("ix_remediation_started_at", "started_at"),
        Index("ix_remediation_target_started_at", "target", "started_at"),
    )

    id: str = Field(primary_key=True)
    incident_id: str = Field(index=True)
    decision_id: str
    approved_by: str
    approvers: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    strategy: str
    target: str
    started_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    plan: str = Field(sa_column=Column(Text, nullable=False))


class JournalRow(SQLModel, table=True):
    """What a repair did, in order: snapshot, intent, receipt, check, undo."""

    __tablename__ = "remediation_journal"
    __audited__ = True

    id: str = Field(primary_key=True)
    remediation_id: str = Field(index=True)
    kind: str
    step: int
    at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    body: str = Field(sa_column=Column(Text, nullable=False))


class OutcomeRow(SQLModel, table=True):
    """How a repair ended; one per remediation."""

    __tablename__ = "outcome"
    __audited__ = True
    __table_args__ = (Index("ix_outcome_strategy_at", "strategy", "at"),)

    remediation_id: str = Field(primary_key=True)
    incident_id: str = Field(index=True)
    strategy: str
    target: str
    ended: str
    at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    says: str = Field(sa_column=Column(Text, nullable=False))
    undone: str = Field(sa_column=Column(Text, nullable=False))
    # JSON of what became of each action of a playbook.
    actions: str = Field(default="[]", sa_column=Column(Text, nullable=False, server_default="[]"))


class HeldRow(SQLModel, table=True):
    """A target that a repair acts on now, or an undoing; the primary key lets one at a time."""

    __tablename__ = "held_target"

    target: str = Field(primary_key=True)
    by: str = Field(index=True)


class UndoRow(SQLModel, table=True):
    """A person's word that an ended repair is to be undone; the primary key makes it single use."""

    __tablename__ = "undo"
    __audited__ = True

    remediation_id: str = Field(primary_key=True)
    actor: str
    reason: str
    asked_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    # True until it has ended: what the command line asked for, or a crash left, is found by it.
    waiting: bool = Field(default=True, index=True)
    done: bool = False
    ended_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime, nullable=True))
    says: str = Field(default="", sa_column=Column(Text, nullable=False))
