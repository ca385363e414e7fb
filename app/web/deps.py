"""What endpoints ask for: the parts of the service, and who asks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

from fastapi import Depends, Request
from prometheus_client.registry import Collector

from app.db.engine import Database
from app.decision.settings import DecisionSettings
from app.diagnosis.diagnose import Diagnose
from app.foundation.clock import Clock
from app.intake.ingest import Ingest
from app.intake.source import Source
from app.knowledge.retrieve import Retriever
from app.knowledge.shelf import Books
from app.knowledge.taxonomy import Taxonomy
from app.learning.learn import Learn
from app.people.directory import DirectoryFile
from app.people.person import Person, Scope
from app.pipeline.desk import Desk
from app.remediation.strategy import Strategies
from app.systems.checkout import History
from app.systems.targets import Targets
from app.web.identity import Provider
from app.web.security import Keyring, RateLimit
from app.web.settings import WebSettings

if TYPE_CHECKING:
    from app.people.slack_door import SlackDoor


class ShownSetting(Protocol):
    """A setting as it may be shown: never a secret."""

    @property
    def name(self) -> str: ...
    @property
    def value(self) -> str: ...
    @property
    def changed(self) -> bool: ...


@dataclass(frozen=True)
class Parts:
    """What the web room needs of the service; put together by `wiring`.

    `programs` are those that a target registered here may run; `provider` is who else than a key says who
    somebody is, None: nobody.
    """

    settings: WebSettings
    database: Database
    clock: Clock
    ingest: Ingest
    sources: dict[str, Source]
    diagnose: Callable[[], Diagnose]
    retriever: Callable[[], Retriever]
    decision: DecisionSettings
    learn: Learn
    taxonomy: Taxonomy
    strategies: Strategies
    targets: Targets
    programs: tuple[str, ...]
    runbooks: Callable[[], Books]
    history: Callable[[Path], History]
    readiness: Callable[[], dict[str, str]]
    measure: Collector
    desk: Desk
    keyring: Keyring
    rate_limit: RateLimit
    session_secret: str
    directory: DirectoryFile
    provider: Provider | None
    settings_in_force: Sequence[ShownSetting] = ()
    slack: "SlackDoor | None" = None


def parts_of(request: Request) -> Parts:
    """The parts that `create_app` was given."""
    parts: Parts = request.app.state.parts
    return parts


def bearer(request: Request) -> str:
    """The key in the Authorization header; empty when there is none."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def person_of(request: Request) -> Person:
    """Who asks, by API key; raises NotSignedIn."""
    return parts_of(request).keyring.person(bearer(request))


def allowed(scope: Scope) -> Callable[[Request], Person]:
    """A dependency that gives the person, once the role includes `scope`."""

    def check(request: Request) -> Person:
        person = person_of(request)
        person.need(scope)
        return person

    return check


PartsDep = Annotated[Parts, Depends(parts_of)]
Reader = Annotated[Person, Depends(allowed(Scope.READ))]
Operator = Annotated[Person, Depends(allowed(Scope.OPERATE))]
Approver = Annotated[Person, Depends(allowed(Scope.APPROVE))]
Admin = Annotated[Person, Depends(allowed(Scope.ADMIN))]
