"""The demo's scenes: what breaks, how, what should come of it, and how the far side shows that it did."""

import csv
import sqlite3
import traceback
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.commands.playground import ENVIRONMENT, STAGING, STOCK, Playground

Look = dict[str, Any]


@dataclass(frozen=True)
class Scene:
    """`breaks` lets it break and returns the event; `look` asks the far side, `tells` what it saw.

    `types`, `effect`, `strategy` and `ended` are what should come of it, `ended` as in `Outcome`;
    `stopped_by` is the gate that should stand in its way. `after` names the scene whose repair must be
    known first.
    """

    id: str
    title: str
    breaks: Callable[[Playground], Look]
    types: tuple[str, ...]
    strategy: str
    ended: str
    look: Callable[[Playground], Look]
    tells: Callable[[Look, Look], str]
    effect: str = "act"
    stopped_by: str = ""
    after: str = ""

    @property
    def waits_for(self) -> str:
        """Why it has not begun."""
        first = self.after.replace("-", " ")
        return f"begins once the {first} is repaired and learned" if first else "begins soon"


def _event(
    message: str, kind: str, name: str, owner: str, environment: str = ENVIRONMENT, **fields: Any
) -> Look:
    target = {"system": "shop", "kind": kind, "name": name, "environment": environment, "owner": owner}
    return {"message": message, "target": target, "source": "demo", "delivery_key": name, **fields}


# --- a job whose warehouse does not answer in time --------------------------------------------


def _job(name: str, environment: str = ENVIRONMENT) -> dict[str, Any]:
    def breaks(world: Playground) -> Look:
        run = world.run_job(name)
        if run["status"] != "failed":
            raise RuntimeError(f"{name} was to fail and {run['status']}")
        return _event(f"{name} failed: {run['error']}", "job", name, "data", environment, run_id=run["id"])

    def look(world: Playground) -> Look:
        return {"runs": world.ledger(name)}

    def tells(before: Look, after: Look) -> str:
        return f"job server: {_tell_runs(name, after['runs'])}"

    return {"breaks": breaks, "look": look, "tells": tells}


def _tell_runs(name: str, runs: list[Look]) -> str:
    doubled = len({run["key"] for run in runs}) < len(runs)
    ends = ", ".join(run["status"] for run in runs)
    keys = "a key ran twice!" if doubled else "one run per idempotency key"
    return f"{name} has {len(runs)} {'runs' if len(runs) > 1 else 'run'} ({ends}), {keys}"


# --- a service that is killed -----------------------------------------------------------------


def _kill(world: Playground) -> Look:
    killed = world.kill_shop()
    address = f"{world.jobs_url}/shop/stock"
    answer = world.client.get(address)
    health = world.shop_health() or "no answer"
    log = f"health check of shop-api, GET {world.shop_url}/health: {health}; process {killed} is gone"
    said = f"GET {address} answered {answer.status_code} {answer.reason_phrase}: {answer.text}"
    return _event(said, "service", "shop-api", "shop", severity="critical", log=log)


def _look_at_shop(world: Playground) -> Look:
    running = world.shop()
    return {"pid": running.pid if running else None, "health": world.shop_health()}


def _tell_shop(before: Look, after: Look) -> str:
    return f"shop-api: process {before['pid']} before, {after['pid']} now, /health answers {after['health']}"


def _kill_again(world: Playground) -> Look:
    return _kill(world) | {"delivery_key": "shop-api-again"}


def _tell_killed(before: Look, after: Look) -> str:
    started = "was started again" if after["pid"] else "stays down until a person has looked"
    return f"shop-api: process {before['pid']} was killed too, and {started}"


# --- a job with a setting too few, for which its owner registered a wrong value ---------------


def _look_at_visits(world: Playground) -> Look:
    return {"settings": world.visits.read_text(), "runs": world.ledger("load-visits")}


def _tell_visits(before: Look, after: Look) -> str:
    same = before["settings"] == after["settings"]
    runs = _tell_runs("load-visits", after["runs"])
    return f"visits.toml: {'as before, byte for byte' if same else 'changed'}; {runs}"


# --- a file that its loader refuses -----------------------------------------------------------


def _load(file: Path) -> str:
    """Why the file cannot be loaded as declared; empty when it can."""
    import pyarrow as pa
    from pyarrow import csv as pa_csv

    native = {"integer": pa.int64(), "number": pa.float64(), "text": pa.string()}
    types = {name: native[column["type"]] for name, column in STOCK.items()}
    try:
        pa_csv.read_csv(file, convert_options=pa_csv.ConvertOptions(column_types=types))
    except pa.ArrowInvalid as error:
        return f"{type(error).__module__}.{type(error).__name__}: {error}"
    return ""


def _spoil(world: Playground) -> Look:
    return _event(f"loading stock.csv failed: {_load(world.stock)}", "file", "stock.csv", "data")


def _look_at_stock(world: Playground) -> Look:
    """Counts by hand, so that the proof does not rest on what made the repair."""
    with world.stock.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    quantities, prices = [row[2] for row in rows], [row[3] for row in rows]
    return {
        "rows": len(rows),
        "repeated": len(rows) - len({tuple(row) for row in rows}),
        "holes": sum(cell in ("", "n/a") for cell in quantities + prices),
        "outliers": sum(cell.isdigit() and int(cell) > 500 for cell in quantities),
        "not numbers": sum(not cell.isdigit() and cell not in ("", "n/a") for cell in quantities),
        "loads": not _load(world.stock),
    }


def _tell_stock(before: Look, after: Look) -> str:
    changed = ", ".join(f"{name} {before[name]} → {after[name]}" for name in before if name != "loads")
    return f"stock.csv: {changed}; it {'loads' if after['loads'] else 'does not load'}"


# --- three steps, of which the second fails ---------------------------------------------------


def _spoil_returns(world: Playground) -> Look:
    return _event(f"loading returns.csv failed: {_load(world.returns)}", "file", "returns.csv", "data")


def _look_at_returns(world: Playground) -> Look:
    return {
        "file": world.returns.read_text(),
        "loads": world.ledger("load-returns"),
        "publications": world.ledger("publish-returns"),
    }


def _tell_returns(before: Look, after: Look) -> str:
    same = "as before, byte for byte" if before["file"] == after["file"] else "changed"
    third = "publish-returns ran!" if after["publications"] else "publish-returns never ran"
    return f"returns.csv: {same}; {_tell_runs('load-returns', after['loads'])}; {third}"


# --- a table into which a file was loaded twice -----------------------------------------------


def _make_index(world: Playground) -> str:
    """Why payments cannot be given their unique index; empty when they can (and it is dropped again)."""
    with closing(sqlite3.connect(world.payments)) as database, database:
        try:
            database.execute("CREATE UNIQUE INDEX payments_once ON payments (payment_id)")
            database.execute("DROP INDEX payments_once")
        except sqlite3.IntegrityError as error:
            return f"{type(error).__module__}.{type(error).__name__}: {error}"
    return ""


def _repeat(world: Playground) -> Look:
    return _event(f"loading payments failed: {_make_index(world)}", "table", "payments", "finance")


def _look_at_payments(world: Playground) -> Look:
    with closing(sqlite3.connect(world.payments)) as database:
        query = "SELECT count(*), count(*) - count(DISTINCT payment_id) FROM payments"
        rows, repeated = database.execute(query).fetchone()
    return {"rows": rows, "repeated": repeated, "unique": not _make_index(world)}


def _tell_payments(before: Look, after: Look) -> str:
    counted = ", ".join(f"{name} {before[name]:,} → {after[name]:,}" for name in ("rows", "repeated"))
    return f"payments: {counted}; a unique index {'holds' if after['unique'] else 'is refused'}"


# --- a defect that nobody but its author can mend ---------------------------------------------


def _invoice_total(order: dict[str, Any], tariffs: dict[str, Any]) -> float:
    """Our defect: a country without a tariff was never thought of."""
    tariff = tariffs.get(order["country"])
    return float(order["net"] * (1 + tariff.rate))  # type: ignore[union-attr]


def _crash(world: Playground) -> Look:
    try:
        _invoice_total({"country": "NZ", "net": 120.0}, {})
    except AttributeError as error:
        log = traceback.format_exc()
        message = f"monthly-invoices crashed: {type(error).__name__}: {error}"
        return _event(message, "program", "monthly-invoices", "billing", log=log)
    raise RuntimeError("the defect is gone")


SCENES = (
    Scene(
        id="flaky-job",
        title="a flaky job",
        types=("network_timeout",),
        strategy="retry_with_exponential_backoff",
        ended="verified",
        **_job("load-orders-eu"),
    ),
    Scene(
        id="killed-service",
        title="a killed service",
        types=("service_unavailable",),
        strategy="recover_service",
        ended="verified",
        breaks=_kill,
        look=_look_at_shop,
        tells=_tell_shop,
    ),
    Scene(
        id="spoilt-file",
        title="a spoilt file",
        types=("schema_mismatch", "data_corruption"),
        strategy="run_data_validation_and_cleanup",
        ended="verified",
        breaks=_spoil,
        look=_look_at_stock,
        tells=_tell_stock,
    ),
    Scene(
        id="repeated-rows",
        title="rows loaded twice",
        types=("data_duplication",),
        strategy="run_deduplication_script",
        ended="verified",
        breaks=_repeat,
        look=_look_at_payments,
        tells=_tell_payments,
        effect="ask",
    ),
    Scene(
        id="defect",
        title="a defect in code",
        types=("unknown_error",),
        strategy="escalate_to_human",
        ended="handed_over",
        breaks=_crash,
        look=lambda world: {},
        tells=lambda before, after: "",
        effect="escalate",
    ),
    Scene(
        id="wrong-setting",
        title="a repair in vain",
        types=("configuration_error",),
        strategy="update_configuration_and_retry",
        ended="undone",
        **_job("load-visits") | {"look": _look_at_visits, "tells": _tell_visits},
    ),
    Scene(
        id="playbook",
        title="three steps in vain",
        types=("schema_mismatch", "data_corruption"),
        strategy="playbook:returns-arrived-broken",
        ended="undone",
        breaks=_spoil_returns,
        look=_look_at_returns,
        tells=_tell_returns,
    ),
    Scene(
        id="staging-job",
        title="a job in staging",
        types=("network_timeout",),
        strategy="retry_with_exponential_backoff",
        ended="handed_over",
        effect="shadow",
        **_job("load-refunds", STAGING),
    ),
    Scene(
        id="seen-before",
        title="seen before",
        types=("network_timeout",),
        strategy="retry_with_exponential_backoff",
        ended="verified",
        after="flaky-job",
        **_job("load-orders-us"),
    ),
    Scene(
        id="killed-again",
        title="killed again",
        types=("service_unavailable",),
        strategy="recover_service",
        ended="handed_over",
        breaks=_kill_again,
        look=_look_at_shop,
        tells=_tell_killed,
        effect="escalate",
        stopped_by="repeated",
        after="killed-service",
    ),
)
