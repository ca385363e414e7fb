"""Identity: who somebody is by another's word than a key's, and what that lets them do here."""

from typing import Protocol

from app.foundation.errors import NotAllowed
from app.foundation.record import Record
from app.people.directory import Directory
from app.people.person import Person, Role

# Where the browser comes back to.
RETURN = "/sign-in/oidc/done"


class Identity(Record):
    """Who it is. `email` is empty unless the provider says that it is theirs; `groups` are those that count here."""

    issuer: str
    subject: str
    email: str = ""
    groups: tuple[str, ...] = ()


class Begun(Record):
    """A sign-in under way: where the browser goes, and what only this browser may come back with."""

    url: str
    state: str
    nonce: str
    verifier: str


class NotProven(NotAllowed):
    """What came back proves nothing."""

    code = "not_proven"


class Provider(Protocol):
    """Says who somebody is: the port of what speaks to an identity provider.

    `issuer` is its name in full, `host` what people know it by.
    """

    issuer: str
    host: str

    def begin(self) -> Begun:
        """Raises Unavailable when the provider does not answer as one."""
        ...

    def finish(self, begun: Begun, code: str, issuer: str, directory: Directory) -> Identity:
        """Who came back with `code`; raises NotProven, or Unavailable when the provider does not answer.

        `issuer` is who the answer says that it is from, empty when it does not say (RFC 9207). Of the groups
        only those are kept that the directory names: all of somebody's may be more than a cookie holds.
        """
        ...


def admitted(directory: Directory, identity: Identity) -> Person:
    """A member by e-mail, else whoever a group gives a role; raises NotAllowed for nobody."""
    email = identity.email.casefold()
    for member in directory.people:
        if email and member.email.casefold() == email:
            return member.person
    role = directory.role_of(identity.groups)
    who = identity.email or f"oidc:{identity.subject}"
    if role is None or role is Role.INGEST:
        raise NotAllowed(
            f"{who} has no role here; ask an administrator of Mendline for an entry in people.yaml, "
            "by your verified e-mail address or by one of your groups"
        )
    return Person(key_id=f"oidc:{identity.subject}", name=who, role=role)
