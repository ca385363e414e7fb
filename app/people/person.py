"""A person, by whichever door they come: a name, and a role that says what they may do."""

from enum import StrEnum

from app.foundation.errors import NotAllowed
from app.foundation.record import Record

# Before the name of whoever types at the machine itself.
CLI = "cli:"


class Role(StrEnum):
    """From what may least to what may most; INGEST is for keys that only send events."""

    INGEST = "ingest"
    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    ADMIN = "admin"


class Scope(StrEnum):
    """INGEST events; READ everything; OPERATE incidents, corrections and pause; APPROVE plans; ADMIN keys."""

    INGEST = "ingest"
    READ = "read"
    OPERATE = "operate"
    APPROVE = "approve"
    ADMIN = "admin"


_SCOPES: dict[Role, frozenset[Scope]] = {
    Role.INGEST: frozenset({Scope.INGEST}),
    Role.VIEWER: frozenset({Scope.READ}),
    Role.OPERATOR: frozenset({Scope.READ, Scope.OPERATE, Scope.INGEST}),
    Role.APPROVER: frozenset({Scope.READ, Scope.OPERATE, Scope.APPROVE, Scope.INGEST}),
    Role.ADMIN: frozenset(Scope),
}


class Person(Record):
    """Who asks: a key's name and role."""

    key_id: str
    name: str
    role: Role

    def may(self, scope: Scope) -> bool:
        return scope in _SCOPES[self.role]

    def need(self, scope: Scope) -> None:
        """Raises NotAllowed when the role does not include `scope`."""
        if not self.may(scope):
            raise NotAllowed(f"the role {self.role} may not do this; it needs the scope {scope}")
