"""A real MLflow server for tests, and a model whose health follows what its alias names.

It takes seconds to start, so one serves the whole test run, with SQLite behind it, on loopback.
"""

import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from functools import cache
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from tests.doubles import Quiet, Served, until

_one_at_a_time = threading.Lock()
# No call to anywhere else, and nothing but the registry.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "PYTHONWARNINGS": "ignore",
}


class Registry:
    """The server; `url` is its address."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="mendline-mlflow-"))
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        store = ["--backend-store-uri", f"sqlite:///{self._folder}/registry.db"]
        kept = ["--default-artifact-root", str(self._folder)]
        where = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *store, *kept, *where],
                cwd=self._folder,
                env={**os.environ, **_QUIET},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        atexit.register(self.end)
        until(self._answers, 180)
        # The first use loads the rest of it.
        self.ask("GET", "registered-models/search")

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self._folder / "log").read_text()[-3000:]
        try:
            return self.http.get("/health").is_success
        except httpx.HTTPError:
            return False

    def ask(self, method: str, path: str, **fields: Any) -> dict[str, Any]:
        """Asks its REST API; wants a 2xx."""
        how = {"params": fields} if method == "GET" else {"json": fields}
        answer = self.http.request(method, f"/api/2.0/mlflow/{path}", **how)  # type: ignore[arg-type]
        assert answer.is_success, answer.text
        said: dict[str, Any] = answer.json()
        return said

    def end(self) -> None:
        """Ends the server and the processes that it started."""
        self.http.close()
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


@cache
def _registry() -> Registry:
    return Registry()


def registry() -> Registry:
    """The one of this test run."""
    with _one_at_a_time:
        return _registry()


class LiveModel(Served):
    """A model of its own in the registry, with a monitor that tells how the version in use does.

    bad      versions with which it is ill.     good   versions marked as good when made.
    gloomy   the monitor calls it ill whatever serves.
    through  the registry's address by a proxy, which answers 502 once it is `cut`.
    """

    def __init__(
        self, versions: int = 3, good: tuple[int, ...] = (1, 2), bad: tuple[int, ...] = (3,)
    ) -> None:
        self.registry = registry()
        self.name = f"churn-{uuid4().hex[:8]}"
        self.bad, self.gloomy, self.cut = set(bad), False, False
        self.tokens: list[str | None] = []
        self.registry.ask("POST", "registered-models/create", name=self.name)
        for number in range(1, versions + 1):
            self.make(good=number in good)
        self.point(versions)
        model = self

        class Monitor(Quiet):
            def do_GET(self) -> None:
                if self.path.startswith("/through"):
                    self._pass_on()
                    return
                model.tokens.append(self.headers.get("Authorization"))
                self.answer(503 if model.gloomy or model.current in model.bad else 200, model.says)

            def do_POST(self) -> None:
                self._pass_on()

            def _pass_on(self) -> None:
                if model.cut:
                    self.answer(502)
                    return
                path, body = self.path.removeprefix("/through"), self.body()
                how = {"content": body, "headers": {"Content-Type": "application/json"}} if body else {}
                answer = model.registry.http.request(self.command, path, **how)
                self.answer(answer.status_code, answer.json())

        self.says: Any = {"status": "ok"}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Monitor)
        self._server.daemon_threads = True
        at = f"http://127.0.0.1:{self._server.server_port}"
        self.health, self.through = f"{at}/health", f"{at}/through"

    def connection(self, **fields: Any) -> dict[str, Any]:
        return {
            "type": "mlflow_model",
            "url": self.registry.url,
            "model": self.name,
            "health": self.health,
            "timeout": 30,
            **fields,
        }

    def make(self, good: bool = False) -> int:
        """A new version; its number."""
        source = {"name": self.name, "source": "s3://models/churn"}
        made = self.registry.ask("POST", "model-versions/create", **source)["model_version"]
        if good:
            self.tag(int(made["version"]), "validation_status", "passed")
        return int(made["version"])

    def tag(self, version: int, key: str, value: str) -> None:
        tag = {"version": str(version), "key": key, "value": value}
        self.registry.ask("POST", "model-versions/set-tag", name=self.name, **tag)

    def point(self, version: int, alias: str = "champion") -> None:
        fields = {"alias": alias, "version": str(version)}
        self.registry.ask("POST", "registered-models/alias", name=self.name, **fields)

    @property
    def current(self) -> int:
        found = self.registry.ask("GET", "registered-models/alias", name=self.name, alias="champion")
        return int(found["model_version"]["version"])

    def history(self, version: int) -> dict[str, Any]:
        """What Mendline noted at a version, by key."""
        found = self.registry.ask("GET", "model-versions/get", name=self.name, version=str(version))
        tags = {tag["key"]: tag["value"] for tag in found["model_version"].get("tags", [])}
        return {key: json.loads(value) for key, value in tags.items() if key.startswith("mendline.")}
