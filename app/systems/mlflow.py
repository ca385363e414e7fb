"""A model in an MLflow registry: which version its alias names, which ones are good, moving the alias.

From:  MLflow REST API 2.0, "Registered Model" and "Model Version", seen with MLflow 3.17. Moving an
       alias there is unconditional, so who moves one looks right before and right after.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson

from app.foundation.record import Record
from app.systems.connections import MlflowModel
from app.systems.far_side import FarSideError
from app.systems.http import Answer, ask, bearer, place

MOST_PAGES = 20  # of 100 versions; who has more good ones in a row marks too many as good
_WELL = ("ok", "pass", "up", "healthy", "warn")


class Version(Record):
    """One version; `tags` as the registry has them."""

    number: int
    made: datetime
    ready: bool
    tags: dict[str, str]


class Health(Record):
    """Whether the incident's own signal is good, and what it says."""

    ok: bool
    says: str


def health(model: MlflowModel) -> Health:
    """Asks once. An answer without a `status` in JSON is judged by its HTTP status alone."""
    try:
        answer = ask("GET", model.health, timeout=model.timeout)
    except FarSideError as error:
        return Health(ok=False, says=error.says)
    says = f"{place(model.health)} answered {answer.status}"
    if not 200 <= answer.status < 300:
        return Health(ok=False, says=says)
    status = _json(answer).get("status", "ok")
    if str(status).lower() in _WELL:
        return Health(ok=True, says=says)
    return Health(ok=False, says=f"{says} with another status than {', '.join(_WELL)}")


class Registry:
    """The client of one `MlflowModel`. Each method raises FarSideError, `again` when trying again can help."""

    def __init__(self, model: MlflowModel) -> None:
        self._model = model
        self._named = {"name": model.model}

    def current(self) -> Version:
        """The version that the alias names."""
        return _version(self._get("registered-models/alias", alias=self._model.alias).get("model_version"))

    def version(self, number: int) -> Version:
        return _version(self._get("model-versions/get", version=str(number)).get("model_version"))

    def good_before(self, number: int) -> Iterator[Version]:
        """Versions older than this one that are marked as good and ready, newest first."""
        key, _, value = self._model.good.partition("=")
        wanted = f"name = '{self._model.model}' and tags.`{key}` = '{value}'"
        query = {"filter": wanted, "order_by": "version_number DESC", "max_results": "100"}
        for _ in range(MOST_PAGES):
            page = self._get("model-versions/search", **query)
            for said in page.get("model_versions", []):
                found = _version(said)
                if found.number < number and found.ready:
                    yield found
            if not page.get("next_page_token"):
                return
            query["page_token"] = page["next_page_token"]

    def point(self, number: int) -> None:
        """Has the alias name this version."""
        self._post("registered-models/alias", alias=self._model.alias, version=str(number))

    def tag(self, number: int, key: str, value: str) -> None:
        """Writes a tag of a version; one with that key is replaced."""
        self._post("model-versions/set-tag", version=str(number), key=key, value=value)

    def _get(self, path: str, **query: str) -> dict[str, Any]:
        return self._ask("GET", path, params={**self._named, **query})

    def _post(self, path: str, **body: str) -> None:
        self._ask("POST", path, json={**self._named, **body})

    def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        model = self._model
        answer = ask(
            method,
            f"{model.url.rstrip('/')}/api/2.0/mlflow/{path}",
            timeout=model.timeout,
            headers={"Accept": "application/json", **bearer(model.bearer())},
            **more,
        )
        said = _json(answer)
        if 200 <= answer.status < 300:
            return said
        # The code is MLflow's own word; its message repeats what was asked for.
        code = str(said.get("error_code", ""))
        code = f" {code}" if code.isidentifier() else ""
        again = answer.status >= 500 or answer.status in (408, 425, 429)
        raise FarSideError(f"{place(model.url)} answered {answer.status}{code}", again=again)


def _json(answer: Answer) -> dict[str, Any]:
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _version(said: Any) -> Version:
    try:
        return Version(
            number=int(said["version"]),
            made=datetime.fromtimestamp(int(said["creation_timestamp"]) / 1000, UTC),
            ready=said.get("status", "READY") == "READY",
            tags={tag["key"]: tag["value"] for tag in said.get("tags", [])},
        )
    except (KeyError, TypeError, ValueError):
        raise FarSideError("the registry's answer is not as MLflow's are", again=False) from None
