"""Every table, for migrations: importing this module fills `SQLModel.metadata`."""

from sqlmodel import SQLModel

import app.db.audit
import app.decision.tables
import app.diagnosis.tables
import app.incidents.tables
import app.incidents.words
import app.knowledge.tables
import app.learning.tables
import app.people.tables
import app.remediation.tables
import app.systems.tables
import app.web.tables  # noqa: F401

metadata = SQLModel.metadata
