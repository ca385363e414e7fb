"""Wiring: how the parts fit together. The one place that knows all rooms.

`open_store` is what every command needs, `build_brain` what diagnosing needs, `Service` the
whole, with the engine running.
"""

import gc
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, cached_property
from pathlib import Path

from sqlalchemy.exc import ArgumentError, DBAPIError

from app import __version__
from app.db.engine import Database, sqlite_url
from app.db.migrate import migrate
from app.db.names import Names
from app.decision.decide import Decide, default_gates
from app.decision.freeze import FreezeFile
from app.decision.guarantee import upper_bound
from app.decision.policy import PolicyFile
from app.diagnosis.build import build, embedded
from app.diagnosis.choose import TrackRecord
from app.diagnosis.diagnose import Diagnose
from app.diagnosis.excerpt import excerpt, meaning
from app.foundation import metrics, traces
from app.foundation.clock import Clock, SystemClock
from app.foundation.errors import Invalid, Unavailable
from app.foundation.logging import log
from app.incidents.group import Group
from app.intake.inbox import Inbox
from app.intake.ingest import Ingest
from app.intake.redact import redact
from app.intake.sources import open_sources
from app.knowledge.embed import load_embedder
from app.knowledge.load import StoredCases, load_runbooks, load_shipped, load_vectors
from app.knowledge.retrieve import Retriever
from app.knowledge.shelf import Books, Shelf
from app.knowledge.shipped import knowledge_folder
from app.knowledge.taxonomy import Taxonomy, read_taxonomy
from app.knowledge.watch import Watch
from app.learning.judged import HeardHere
from app.learning.learn import Learn
from app.llm.litellm_chat import open_chat
from app.people.directory import DirectoryFile
from app.people.notify import Notify
from app.people.slack_setup import open_door
from app.pipeline.card import Cards
from app.pipeline.desk import Desk
from app.pipeline.measure import Measure
from app.pipeline.pipeline import Pipeline
from app.pipeline.runner import Runner
from app.pipeline.situation import Situations
from app.pipeline.tell import Telling
from app.plugins import Plugins, load_plugins
from app.remediation import store as remediations
from app.remediation.crash import crash_at
from app.remediation.plan import ESCALATE
from app.remediation.record import standing
from app.remediation.remediate import Acts
from app.remediation.strategies import STRATEGIES
from app.remediation.strategy import Strategies
from app.settings import Settings, in_force
from app.systems.checkout import Histories
from app.systems.targets import Targets
from app.web.deps import Parts
from app.web.identity import Provider
from app.web.security import Keyring, RateLimit, session_secret
from app.web.settings import WebSettings


@dataclass(frozen=True)
class Store:
    """The settings, the clock, the migrated database and the knowledge on disk."""

    settings: Settings
    clock: Clock
    database: Database
    taxonomy: Taxonomy
    targets: Targets
    strategies: Strategies
    policy: PolicyFile
    freezes: FreezeFile
    plugins: Plugins
    directory: DirectoryFile

    @property
    def knowledge(self) -> Path:
        """The folder of cases, runbooks and taxonomy in force."""
        return self.settings.knowledge.folder or knowledge_folder()

    @property
    def models(self) -> Path:
        """Where fitted models are kept."""
        return self.settings.data_dir / "models"

    def decide(self) -> Decide:
        """Every gate, as this site set it."""
        gates = default_gates(self.policy, self.settings.decision, self.freezes)
        return Decide((*gates, *self.plugins.gates))

    def situations(self) -> Situations:
        """What the gates look at, gathered as this site set it."""
        return Situations(self.targets, self.taxonomy, self.settings.decision.shadow_from_risk)

    def standing(self, strategy: str) -> str:
        """How far the strategy is from running alone, in a sentence; empty for telling a person."""
        if strategy == ESCALATE:
            return ""
        with self.database.reading() as session:
            return standing(session, self.taxonomy, strategy, self.settings.decision).says

    def desk(self) -> Desk:
        """What people may ask for where no engine runs: the running service finds what is written."""
        settings = self.settings
        learn = Learn(self.database, self.clock, self.taxonomy, cache(lambda: build_brain(self)[1]))
        days = timedelta(days=settings.remediation.backup_days)
        return Desk(self.database, self.clock, self.taxonomy, self.strategies, self.directory, learn, days)

    @cached_property
    def shelf(self) -> Shelf:
        """The runbooks: those that ship, and the site's own on top of them."""
        own = self.settings.knowledge.runbooks or self.settings.data_dir / "runbooks"
        params = {name: strategy.Params for name, strategy in self.strategies.items()}
        kept = self.settings.data_dir / "runbooks-in-force.json"
        return Shelf(self.knowledge / "runbooks", own, kept, self.taxonomy, params)


def database_url(settings: Settings) -> str:
    """The address of our own tables."""
    return settings.db.url.get_secret_value() or sqlite_url(settings.data_dir / "mendline.db")


def _open_database(settings: Settings) -> Database:
    """Raises Invalid naming what cannot be used, Unavailable while a server does not answer."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Invalid(f"the data folder {settings.data_dir} cannot be made: {error.strerror}") from None
    try:
        database = Database(database_url(settings))
    except (ArgumentError, ImportError):
        raise Invalid("MENDLINE_DB__URL is not like postgresql+psycopg://user@host/name") from None
    try:
        migrate(database)
    except DBAPIError as error:
        says = str(error.orig).split("\n", 1)[0]
        if database.is_sqlite:
            raise Invalid(f"the database {database.engine.url.database} cannot be used: {says}") from None
        raise Unavailable(f"the database does not answer: {says}") from None
    return database


def open_store(settings: Settings, clock: Clock | None = None) -> Store:
    """Opens and migrates the database, reads the taxonomy. Makes the data folder, for its owner alone."""
    database = _open_database(settings)
    folder = settings.knowledge.folder or knowledge_folder()
    targets = Targets(settings.systems.targets_file or settings.data_dir / "targets.yaml", database)
    plugins = load_plugins(settings.plugins.allow, targets)
    taxonomy = read_taxonomy(folder / "taxonomy.yaml")
    # What the site's own taxonomy says of a strategy counts before what the strategy says of itself.
    taxonomy = taxonomy.model_copy(update={"strategies": {**plugins.entries, **taxonomy.strategies}})
    decision = settings.decision
    return Store(
        settings=settings,
        clock=clock or SystemClock(),
        database=database,
        taxonomy=taxonomy,
        targets=targets,
        strategies={strategy.id: strategy(targets) for strategy in STRATEGIES} | plugins.strategies,
        plugins=plugins,
        policy=PolicyFile(decision.policy_file or folder / "policy.yaml", taxonomy),
        freezes=FreezeFile(
            decision.freeze_file or settings.data_dir / "freeze.yaml",
            taxonomy,
            needed=decision.freeze_file is not None,
        ),
        directory=DirectoryFile(settings.people.file or settings.data_dir / "people.yaml"),
    )


def build_brain(store: Store, told: Callable[[str], None] = lambda says: None) -> tuple[Diagnose, Retriever]:
    """Loads the embedder, all cases and runbooks, and the fitted models; fits them when they are not kept.

    The first time takes a minute or two: `told` hears what is being done.
    """
    told("loading the embedding model")
    embedder = load_embedder(store.settings.knowledge.embedder, store.knowledge)
    told("reading cases and runbooks")
    shipped = load_shipped(store.database, store.knowledge)
    books = store.shelf.read()
    cases = StoredCases(
        store.database, embedder, lambda text: meaning(excerpt(text)), store.settings.data_dir / "index"
    )
    cases.open(lambda done, of: told(f"embedding cases, {done} of {of}"))
    told(f"learning from {len(shipped)} cases")

    def records() -> Mapping[str, TrackRecord]:
        with store.database.reading() as session:
            return remediations.records(session)

    return build(
        shipped,
        lambda: load_vectors(store.database, embedder, embedded(shipped)),
        books.runbooks,
        embedder,
        store.taxonomy,
        list(store.strategies),
        records,
        store.clock,
        store.models,
        store.knowledge / "weights.json",
        open_chat(store.settings.llm),
        lambda texts: load_vectors(store.database, embedder, texts),
        HeardHere(store.database, store.clock),
        Retriever(embedder, meaning, cases=cases),
        store.plugins.scorers,
    )


Built = tuple[Diagnose, Retriever]
Build = Callable[[Store, Callable[[str], None]], Built]


class Brain:
    """The diagnosing parts, loaded beside the serving: `get` waits for them."""

    def __init__(self, store: Store, build: Build) -> None:
        self._store = store
        self._build = build
        self._ready = threading.Event()
        self._built: Built | None = None
        self.doing = "not started"
        self.failed = ""

    def load(self) -> None:
        """Builds; a failure is kept and told, and diagnosing stays unavailable."""
        try:
            self._built = self._build(self._store, self._told)
            self.doing = "ready"
            metrics.READY.set(1)
        except Exception as error:
            self.failed = f"{type(error).__name__}: {error}"
            log(__name__).error("brain.failed", exc_info=error)
        self._ready.set()

    @property
    def cases(self) -> int:
        """How many cases are in the index; 0 until it is there."""
        return self._built[1].cases if self._built else 0

    def _told(self, says: str) -> None:
        self.doing = says
        log(__name__).info("brain.loading", doing=says)

    def _get(self, within: float) -> Built:
        self._ready.wait(within)
        if self._built is None:
            raise Unavailable(f"not ready to diagnose: {self.failed or self.doing}", retry_after=3)
        return self._built

    def diagnose(self) -> Diagnose:
        """For the pipeline: waits as long as it takes."""
        return self._get(600)[0]

    def diagnose_now(self) -> Diagnose:
        """For a request: raises Unavailable unless it is ready."""
        return self._get(0)[0]

    def retriever_now(self) -> Retriever:
        """For a request: raises Unavailable unless it is ready."""
        return self._get(0)[1]

    def retriever(self) -> Retriever:
        """The knowledge in memory; waits for it."""
        return self._get(600)[1]


class Service:
    """The whole, in one process; without a door to it, it is a worker."""

    def __init__(self, store: Store, build: Build = build_brain) -> None:
        settings, database, clock = store.settings, store.database, store.clock
        for refused in store.plugins.refused:
            log(__name__).warning("plugin.refused", says=refused)
        self.store = store
        self._names: Names | None = None
        self.brain = Brain(store, build)
        self._watch = Watch(store.shelf, self._shelve)
        cards = Cards(database, store.targets, store.strategies, settings.people.url, self._owner_of)
        self._notify = Notify(settings.people, store.directory, database, clock, cards.card, self._delivers)
        acts = Acts(
            database,
            clock,
            store.strategies,
            settings.data_dir / "backups",
            crash_at(settings.pipeline.crash_at, settings.data_dir),
        )
        learn = Learn(database, clock, store.taxonomy, self.brain.retriever)
        pipeline = Pipeline(
            database,
            clock,
            self.brain.diagnose,
            store.decide(),
            store.strategies,
            store.targets,
            acts,
            learn,
            Telling(
                database,
                clock,
                self._notify,
                cards,
                store.standing,
                timedelta(minutes=settings.pipeline.remind_minutes),
            ),
            timedelta(minutes=settings.pipeline.approval_minutes),
            timedelta(days=settings.remediation.backup_days),
            store.situations(),
        )
        self._group = Group(database, clock, self._opened)
        self._inbox = Inbox(self._group.commit, limit=settings.intake.inbox_limit)
        self._runner = Runner(
            pipeline, database, engine_url(settings), settings.pipeline, pressure=lambda: self._inbox.busy
        )
        self.measure = Measure(
            database,
            clock,
            self.readiness,
            {"people": store.directory.read, "policy": store.policy.read, "freezes": store.freezes.read},
            lambda: self._inbox.waiting,
            lambda: self.brain.cases,
        )
        metrics.BUILD.info({"version": __version__})
        metrics.WORKER.info({"name": settings.pipeline.executor})
        desk = Desk(
            database,
            clock,
            store.taxonomy,
            store.strategies,
            store.directory,
            learn,
            timedelta(days=settings.remediation.backup_days),
            answered=self._runner.answer,
            undoing=self._runner.undo,
            woken=self._notify.woken,
        )
        self._slack = open_door(settings.people, store.directory, desk, clock)
        self.parts = Parts(
            settings=settings.web,
            database=database,
            clock=clock,
            ingest=Ingest(self._inbox, clock),
            sources=open_sources(settings.intake),
            diagnose=self.brain.diagnose_now,
            retriever=self.brain.retriever_now,
            decision=settings.decision,
            learn=learn,
            taxonomy=store.taxonomy,
            strategies=store.strategies,
            targets=store.targets,
            programs=settings.systems.commands,
            runbooks=store.shelf.now,
            history=Histories().of,
            readiness=self.readiness,
            measure=self.measure,
            desk=desk,
            keyring=Keyring(database),
            rate_limit=RateLimit(settings.web.events_per_second),
            session_secret=session_secret(settings.web.session_secret, settings.data_dir),
            settings_in_force=in_force(settings),
            directory=store.directory,
            provider=open_provider(settings.web, settings.people.url, clock),
            slack=self._slack,
        )

    def take_name(self) -> None:
        """For who wants to know before the start; raises Invalid when another process does this one's work."""
        self._runner.take_name()

    def start(self) -> None:
        """Starts the engine; the models load beside it."""
        traces.start(__version__, self.store.settings.pipeline.executor)
        self._runner.start()
        self._notify.start()
        if self._slack is not None:
            self._slack.start()
        threading.Thread(target=self._load, name="brain", daemon=True).start()

    def _load(self) -> None:
        self.brain.load()
        # The first of each imports what it takes, for which no decision and no event should wait.
        upper_bound(0, 1, 0.95)
        redact("0" * 20)
        # What was loaded stays for good: a hundred thousand objects that no collection need look at again.
        gc.collect()
        gc.freeze()
        # What arrived before the models were there is taken up now.
        self._runner.opened([])
        self._watch.start()

    def _shelve(self, books: Books) -> None:
        if not self.brain.failed:
            load_runbooks(self.store.database, self.brain.retriever_now(), books.runbooks)

    def _opened(self, incident_ids: Sequence[str]) -> None:
        self._runner.opened(incident_ids)

    def _delivers(self) -> bool:
        """Whether this process tells people: of several workers one does."""
        if self.store.database.is_sqlite:
            return True
        if self._names is None:
            self._names = Names(self.store.database.url)
        return self._names.take("notify")

    def _owner_of(self, runbook_id: str) -> str:
        book = self.store.shelf.now().find(runbook_id)
        return book.runbook.owner if book else ""

    def readiness(self) -> dict[str, str]:
        """Part by part: "ok", or what it waits for. Ready when all but `people` are ok."""
        brain = "ok" if self.brain.doing == "ready" else (self.brain.failed or self.brain.doing)
        self.store.targets.all()
        problem = self.store.targets.problem
        try:
            with self.store.database.engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
            database = "ok"
        except Exception as error:
            database = type(error).__name__
        try:
            self.store.directory.read()
            people = "ok"
        except Invalid as error:
            people = error.says
        targets = problem.says if problem else "ok"
        return {"database": database, "diagnosis": brain, "targets": targets, "people": people}

    def close(self) -> None:
        """Commits what waits, stops taking up work, lets messages out."""
        self._watch.close()
        self._inbox.close()
        if self._slack is not None:
            self._slack.close()
        self._runner.close()
        self._notify.close()
        if self._names is not None:
            self._names.close()
        traces.stop()
        self.store.database.close()


def engine_url(settings: Settings) -> str:
    """Where the durable engine keeps its own tables: the same Postgres, or a SQLite file beside ours."""
    url = settings.db.url.get_secret_value()
    if url and not url.startswith("sqlite"):
        return url.replace("postgresql+psycopg://", "postgresql://", 1)
    path = settings.data_dir / "engine.db"
    # The mode stays with the file; the engine itself would leave SQLite's slower default.
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()
    return sqlite_url(path)


def open_provider(settings: WebSettings, url: str, clock: Clock) -> Provider | None:
    """The provider that is set up, if any; raises Invalid while nobody could come back from it, to `url`."""
    if not settings.oidc_issuer:
        return None
    if not url:
        raise Invalid(
            "MENDLINE_PEOPLE__URL is missing: the identity provider sends people back there after they signed in"
        )
    # Most sites have none, and importing what speaks to it takes a good part of a second.
    from app.web.oidc import Oidc

    return Oidc(settings, url, clock)
