"""What every strategy keeps, found in the tuple of `app/remediation/strategies`, each on a real target."""

import importlib
import pkgutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from pydantic import ValidationError

from app.decision.plan import Plan, Step
from app.foundation.record import Record
from app.knowledge.taxonomy import read_taxonomy
from app.remediation import strategies
from app.remediation.strategies import STRATEGIES
from app.remediation.strategy import (
    CannotUndo,
    Disproved,
    HandedOver,
    NeedsHuman,
    NotApplicable,
    NotDone,
    Pending,
    Receipt,
    Snapshot,
    Strategy,
    Subject,
    Unclear,
    Undone,
    Verified,
)
from app.systems.targets import Targets
from tests.doubles import HealthPage, JobServer, Service, only, register, until
from tests.far_git import Hub, Origin
from tests.registry import LiveModel
from tests.vault import Vault

pytestmark = pytest.mark.server

R = TypeVar("R", bound=Record)
HIDDEN = "hidden-secret"
KEY = "key_1"


@dataclass
class Bench:
    """A strategy on a target that it applies to. `state` is the target's; `acted` is counted by the far side."""

    strategy: Strategy
    subject: Subject
    register_again: Callable[[dict[str, Any]], Any]
    state: Callable[[], Any]
    acted: Callable[[], int]
    keep: Path

    @property
    def params(self) -> Record:
        return self.strategy.Params.model_validate(PARAMS.get(self.strategy.id, {}))

    def plan(self) -> Plan:
        made = self.strategy.plan(self.subject, self.params)
        assert isinstance(made, Plan), made
        return stored(made)

    def snapshot(self, plan: Plan) -> Snapshot:
        return stored(self.strategy.snapshot(plan, self.keep))

    def run(self, plan: Plan, snapshot: Snapshot) -> Receipt:
        """The last step, in a sequence after those that it builds on."""
        for step in plan.steps[:-1] if plan.order == "sequence" else ():
            self.strategy.execute(plan, step, f"{KEY}_{step.index}", snapshot)
        return stored(self.strategy.execute(plan, step_of(plan), KEY, snapshot))


def stored(record: R) -> R:
    """As it comes back from the database."""
    return type(record).model_validate_json(record.model_dump_json())


def step_of(plan: Plan) -> Step:
    """The step that has an effect that a far side can count: the last one, but what comes before a re-run."""
    return plan.steps[0 if plan.strategy in COUNTED_FIRST else -1]


def jobs_bench(folder: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Any, Any]:
    jobs: JobServer = request.getfixturevalue("jobs")
    return jobs.job(run=f"{jobs.url}/runs?token={HIDDEN}"), lambda: dict(jobs.asked), lambda: jobs.acted


def service_bench(folder: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Any, Any]:
    service: Service = request.getfixturevalue("service")
    service.connection["start"].append(HIDDEN)
    service.start()
    service.fall_ill("restart")

    def state() -> Any:
        return [(p.name, p.read_bytes()) for p in sorted(service.folder.iterdir())]

    return service.connection, state, lambda: service.started - 1


def file_bench(folder: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Any, Any]:
    path = folder / "orders.csv"
    path.write_text("id,price,paid\n1,2.5,yes\n2,,true\n3,3.5,false\n3,3.5,false\n")
    columns = {
        "id": {"type": "integer", "unique": True},
        "price": {"type": "number"},
        "paid": {"type": "boolean"},
    }
    seen = [path.stat().st_ino]

    def acted() -> int:
        # Each replacement is a file of its own.
        if path.stat().st_ino != seen[-1]:
            seen.append(path.stat().st_ino)
        return len(seen) - 1

    return {"type": "file", "path": str(path), "columns": columns}, path.read_bytes, acted


def table_bench(folder: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Any, Any]:
    path = folder / "shop.db"

    def run(statement: str) -> list[Any]:
        connection = sqlite3.connect(path)
        with connection:
            rows = connection.execute(statement).fetchall()
        connection.close()
        return rows

    run("CREATE TABLE orders (id INTEGER PRIMARY KEY, order_id TEXT)")
    run("INSERT INTO orders (order_id) VALUES ('a'), ('a'), ('b'), ('c'), (NULL), (NULL)")
    connection = {"type": "table", "url": f"sqlite:///{path}", "table": "orders", "key": ["order_id"]}
    return connection, lambda: run("SELECT * FROM orders"), lambda: 6 - len(run("SELECT * FROM orders"))


def columns_bench(folder: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Any, Any]:
    path = folder / "shop.db"

    def run(statement: str) -> list[Any]:
        connection = sqlite3.connect(path)
        with connection:
            rows = connection.execute(statement).fetchall()
        connection.close()
        return rows

    run("CREATE TABLE orders (id INTEGER PRIMARY KEY, order_id TEXT)")
    run("INSERT INTO orders (order_id) VALUES ('a'), ('b'), (NULL)")
    connection = {
        "type": "table",
        "url": f"sqlite:///{path}",
        "table": "orders",
        "key": ["order_id"],
        "columns": {"order_id": {"type": "text"}, "tier": {"type": "text", "default": "none"}},
    }
    return (
        connection,
        lambda: [run("SELECT sql FROM sqlite_master"), run("SELECT * FROM orders")],
        lambda: len(run("SELECT * FROM pragma_table_info('orders')")) - 2,
    )


def model_bench(folder: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Any, Any]:
    live = LiveModel()
    running = live.running()
    running.__enter__()
    request.addfinalizer(lambda: running.__exit__(None, None, None))
    (folder / "token").write_text(HIDDEN)
    connection = live.connection(token_file=str(folder / "token"), health=f"{live.health}?token={HIDDEN}")
    return connection, lambda: live.current, lambda: len(live.history(3))


def credential_bench(folder: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Any, Any]:
    vault = Vault(folder / "vault")
    connection = vault.credential()
    connection["issue"].append(HIDDEN)
    return connection, lambda: vault.holds["now"], lambda: len(vault.holds["versions"]) - 1


def grant_bench(folder: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Any, Any]:
    jobs: JobServer = request.getfixturevalue("jobs")
    vault = Vault(folder / "vault")
    connection = vault.grants(jobs.job(run=f"{jobs.url}/runs?token={HIDDEN}"))
    connection["grant"].append(HIDDEN)
    # Granted once more for the same time is granted once.
    return connection, lambda: vault.holds["granted"], lambda: len(set(map(tuple, vault.asked("grant"))))


def settings_bench(folder: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Any, Any]:
    jobs: JobServer = request.getfixturevalue("jobs")
    path = folder / "load.toml"
    path.write_text('[warehouse]\nhost = "db"\n')
    rerun = jobs.job(run=f"{jobs.url}/runs?token={HIDDEN}")
    connection = {"type": "config_file", "path": str(path), "keys": ["warehouse.region"], "rerun": rerun}
    return connection, path.read_bytes, lambda: jobs.acted


def training_bench(folder: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Any, Any]:
    jobs: JobServer = request.getfixturevalue("jobs")
    origin = Origin(folder, {"train.json": '{"batch_size": 32, "epochs": 3}\n'})
    connection = {
        "type": "git_file",
        "remote": origin.url,
        "branch": "main",
        "path": "train.json",
        "keys": ["batch_size", "checkpointing"],
        "rerun": jobs.job(run=f"{jobs.url}/runs?token={HIDDEN}"),
    }
    return connection, lambda: (origin.text("train.json"), origin.branches), lambda: len(origin.keys())


def fix_bench(folder: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Any, Any]:
    origin = Origin(folder, {"Main.java": "class Main { OrderLoader loader; }\n", "other": ""})
    hub = Hub(origin)
    running = hub.running()
    running.__enter__()
    request.addfinalizer(lambda: running.__exit__(None, None, None))
    connection = {
        "type": "git_repository",
        "remote": origin.url,
        "branch": "main",
        "files": ["Main.java"],
        "github": hub.app(folder),
    }
    return connection, lambda: (origin.tip(), origin.branches, hub.open), lambda: hub.did["open"]


def rollout_bench(folder: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Any, Any]:
    origin = Origin(folder, {"version": "1"})
    origin.tag("good/1", origin.first)
    origin.commit({"version": "2"}, "release 2")
    health = HealthPage(lambda: origin.text("version") == "1")
    running = health.running()
    running.__enter__()
    request.addfinalizer(lambda: running.__exit__(None, None, None))
    connection = {"type": "git_deployment", "remote": origin.url, "branch": "main", "health": health.url}
    return connection, lambda: origin.git("rev-parse", "main^{tree}"), lambda: len(origin.keys())


def no_bench(folder: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Any, Any]:
    return {"type": "http_job", "run": "http://127.0.0.1:1/"}, lambda: None, lambda: 1


BENCHES = {
    "retry_with_exponential_backoff": jobs_bench,
    "recover_service": service_bench,
    "run_data_validation_and_cleanup": file_bench,
    "run_deduplication_script": table_bench,
    "update_schema_and_retry": columns_bench,
    "rollback_model": model_bench,
    "refresh_credentials_and_retry": credential_bench,
    "restart_with_elevated_permissions": grant_bench,
    "reduce_batch_size": training_bench,
    "update_configuration_and_retry": settings_bench,
    "open_fix_pull_request": fix_bench,
    "rollback_deployment": rollout_bench,
    "escalate_to_human": no_bench,
}
COUNTED_FIRST = ("refresh_credentials_and_retry", "restart_with_elevated_permissions")
PARAMS: dict[str, dict[str, Any]] = {
    "reduce_batch_size": {"gradient_checkpointing": "checkpointing"},
    "update_configuration_and_retry": {"settings": {"warehouse.region": "eu-west-1"}},
    "open_fix_pull_request": {"edits": [{"file": "Main.java", "find": "Order", "replace": "Orders"}]},
}


@pytest.fixture(params=STRATEGIES, ids=lambda cls: cls.id)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    connection, state, acted = BENCHES[request.param.id](tmp_path, request)
    targets: Targets = register(tmp_path, connection)
    strategy: Strategy = request.param(targets)
    subject = Subject(incident_id="inc_1", type="any", run_id="run-0", target=only(targets))
    keep = tmp_path / "keep"
    keep.mkdir()
    return Bench(
        strategy, subject, lambda fields: register(tmp_path, {**connection, **fields}), state, acted, keep
    )


@pytest.fixture(params=STRATEGIES, ids=lambda cls: cls.id)
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


class TestTheClass:
    def test_every_file_is_registered_under_its_name(self) -> None:
        files = [module.name for module in pkgutil.iter_modules(strategies.__path__)]
        assert sorted(kind.id for kind in STRATEGIES) == sorted(files)

    def test_the_docstring_has_its_headings(self, kind: Any) -> None:
        doc = importlib.import_module(kind.__module__).__doc__ or ""
        assert doc.partition("\n")[0].lower().startswith(kind.id.replace("_", " ") + ": ")
        lines = [line.partition(":")[0] for line in doc.splitlines()]
        assert [line for line in lines if line in ("Acts on", "Risk", "Undo", "Refuses")] == [
            "Acts on",
            "Risk",
            "Undo",
            "Refuses",
        ]

    def test_the_taxonomy_knows_it_with_this_risk(self, kind: Any) -> None:
        taxonomy = read_taxonomy(Path(__file__).parents[2] / "knowledge" / "taxonomy.yaml")
        assert taxonomy.strategies[kind.id].risk == kind.risk

    def test_params_come_back_the_same_and_know_their_names(self, kind: Any) -> None:
        params = kind.Params()
        assert kind.Params.model_validate_json(params.model_dump_json()) == params
        with pytest.raises(ValidationError):
            kind.Params(unheard_of=1)


class TestPlan:
    def test_it_changes_nothing_and_is_the_same_twice(self, bench: Bench) -> None:
        before = bench.state()
        first, second = bench.plan(), bench.plan()
        assert (first, first.hash) == (second, second.hash)
        assert bench.state() == before
        assert bench.strategy.Params.model_validate(first.params) == bench.params

    def test_it_holds_no_secret(self, bench: Bench) -> None:
        text = bench.plan().model_dump_json()
        assert HIDDEN not in text
        assert "sqlite:" not in text

    def test_it_says_what_every_step_does(self, bench: Bench) -> None:
        plan = bench.plan()
        assert [step.index for step in plan.steps] == list(range(len(plan.steps)))
        assert all(step.says and step.says == step.says.strip() for step in plan.steps)
        assert (plan.strategy, plan.version, plan.risk) == (
            bench.strategy.id,
            bench.strategy.version,
            bench.strategy.risk,
        )
        assert plan.target == "shop/job/nightly-load"

    def test_without_its_kind_of_target_it_does_not_apply(self, bench: Bench, tmp_path: Path) -> None:
        if bench.strategy.id == "escalate_to_human":
            assert isinstance(bench.strategy.plan(Subject(incident_id="i", type="t"), None), Plan)
            return
        other = {"type": "table", "url": "sqlite:///x", "table": "t", "key": ["k"]}
        if bench.strategy.id in ("run_deduplication_script", "update_schema_and_retry"):
            other = {"type": "http_job", "run": "http://127.0.0.1:1/"}
        target = only(register(tmp_path, other))
        for found in (None, target):
            subject = bench.subject.model_copy(update={"target": found})
            assert isinstance(bench.strategy.plan(subject, bench.params), NotApplicable)


class TestActing:
    def test_the_snapshot_is_repeatable_and_changes_nothing(self, bench: Bench) -> None:
        plan, before = bench.plan(), bench.state()
        first = bench.snapshot(plan)
        assert bench.snapshot(plan) == first
        assert bench.state() == before

    def test_it_works(self, bench: Bench) -> None:
        plan = bench.plan()
        kept, receipts = bench.snapshot(plan), []
        steps = plan.steps[-1:] if plan.order == "ladder" else plan.steps
        # A proposal cannot have helped before somebody took it up.
        well = HandedOver if bench.strategy.id == "open_fix_pull_request" else Verified
        for step in steps:
            receipts.append(stored(bench.strategy.execute(plan, step, f"{KEY}_{step.index}", kept)))
            if step.within or step is steps[-1]:
                until(lambda: not isinstance(bench.strategy.verify(plan, receipts), Pending))
                assert isinstance(bench.strategy.verify(plan, receipts), well)

    def test_the_same_key_twice_acts_once(self, bench: Bench) -> None:
        plan = bench.plan()
        kept = bench.snapshot(plan)
        first, second = bench.run(plan, kept), bench.run(plan, kept)
        assert (first.step, first.data) == (second.step, second.data)
        assert bench.acted() == 1

    def test_recall_tells_before_from_after(self, bench: Bench) -> None:
        plan = bench.plan()
        kept = bench.snapshot(plan)
        assert bench.strategy.recall(plan, step_of(plan), KEY, kept) == NotDone()
        receipt = bench.run(plan, kept)
        if bench.strategy.id == "escalate_to_human":
            pytest.skip("it has no effect that could be found")
        recalled = bench.strategy.recall(plan, step_of(plan), KEY, kept)
        assert isinstance(recalled, Receipt)
        assert recalled.step == receipt.step

    def test_rollback_is_repeatable(self, bench: Bench) -> None:
        plan, before = bench.plan(), bench.state()
        kept = bench.snapshot(plan)
        receipts = [bench.run(plan, kept)]
        first = bench.strategy.rollback(plan, kept, receipts)
        assert isinstance(first, Undone | CannotUndo)
        assert bench.strategy.rollback(plan, kept, receipts) == Undone(says=getattr(first, "says", ""))
        if bench.strategy.id not in ("retry_with_exponential_backoff", "recover_service"):
            assert bench.state() == before

    def test_rollback_without_a_receipt_changes_nothing(self, bench: Bench) -> None:
        plan, before = bench.plan(), bench.state()
        assert isinstance(bench.strategy.rollback(plan, bench.snapshot(plan), []), Undone)
        assert bench.state() == before

    def test_another_registration_than_was_approved_is_not_acted_on(self, bench: Bench) -> None:
        if bench.strategy.id == "escalate_to_human":
            pytest.skip("it does not look at the registration")
        plan = bench.plan()
        kept, before = bench.snapshot(plan), bench.state()
        field = {
            "http_job": {"timeout": 9},
            "process": {"stop_timeout": 9},
            "file": {"max_bytes": 10**6},
            "table": {"order_by": "id"},
            "mlflow_model": {"timeout": 9},
            "credential": {"versions": "v[0-9]+"},
            "grant": {"most_minutes": 59},
            "config_file": {"keys": ["warehouse.region", "warehouse.host"]},
            "git_file": {"timeout": 9},
            "git_repository": {"timeout": 9},
            "git_deployment": {"timeout": 9},
        }
        bench.register_again(field[bench.subject.target.connection.type])  # type: ignore[union-attr]
        with pytest.raises(NeedsHuman, match="changed since the plan was made"):
            bench.run(plan, kept)
        assert bench.state() == before
        assert isinstance(bench.strategy.verify(plan, []), Verified | Pending | Disproved)
        assert isinstance(bench.strategy.recall(plan, step_of(plan), KEY, kept), NotDone | Unclear)
        told = [Receipt(step=0, data={"now": None, "id": "", "status": "running"}, says="")]
        assert isinstance(bench.strategy.rollback(plan, kept, told), Undone | CannotUndo)
