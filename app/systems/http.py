"""Jobs that are run again by a request, and the bounded HTTP exchange beneath it.

What a repair must know of a failed request is whether it may have had an effect, so the
errors differ in that: `NotNow` is certain that nothing happened, `NoAnswer` is not.
Messages name the host only: paths and queries of such addresses often carry secrets.
"""

import re
import time
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal
from urllib.parse import quote

import httpx
import orjson

from app.foundation.record import Record
from app.systems.connections import HttpJob
from app.systems.far_side import FarSideError

MOST_BYTES = 1_000_000
# What an event may put into an address: run ids as CI systems and Airflow write them, no slash.
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+~@=-]{0,199}")


class NotNow(FarSideError):
    """Nothing happened, and later it may. `after` is the far side's own word in seconds, None without one."""

    def __init__(self, says: str, after: float | None = None) -> None:
        super().__init__(says, again=True)
        self.after = after


class NoAnswer(FarSideError):
    """The request was sent and its effect is not known."""

    def __init__(self, says: str) -> None:
        super().__init__(says, again=True)


class Answer(Record):
    """Status, headers (names in lower case) and body of an answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class Health(Record):
    """One look at a health address."""

    ok: bool
    says: str


class Run(Record):
    """One run of a job; `id` is empty when the far side named none."""

    id: str
    status: Literal["succeeded", "failed", "running"]


def place(address: str) -> str:
    """Host and port of an address: what may be shown of it."""
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        return "(no valid address)"
    return f"{url.host}:{url.port}" if url.port else url.host


# Reading the system's certificates takes longer than all the rest of a call to a near machine.
_trusted = cache(lambda proxies: httpx.create_ssl_context(trust_env=proxies))


def ask(
    method: str,
    address: str,
    *,
    timeout: float,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    json: Any = None,
    proxies: bool = True,
    most_bytes: int = MOST_BYTES,
) -> Answer:
    """One exchange; redirects are not followed, for they would carry a token elsewhere.

    `params` are the query, `json` is the body. `timeout` in seconds bounds connecting and every wait for
    bytes; a body that drips is cut at twice that in all. Raises NotNow when nothing was sent, NoAnswer
    when it is not known whether it arrived, and FarSideError (again=False) for an address that cannot be
    asked or an answer over `most_bytes`.
    """
    where = f"{method} {place(address)}"
    ends = time.monotonic() + 2 * timeout
    try:
        with (
            httpx.Client(timeout=timeout, trust_env=proxies, verify=_trusted(proxies)) as client,
            client.stream(method, address, headers=headers, params=params, json=json) as response,
        ):
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > most_bytes:
                    raise FarSideError(f"{where} answered more than {most_bytes:,} bytes", again=False)
                if time.monotonic() > ends:
                    raise NoAnswer(f"{where} did not finish its answer in {2 * timeout:g} s")
            known = {name.lower(): value for name, value in response.headers.items()}
            return Answer(status=response.status_code, headers=known, body=bytes(body))
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise FarSideError(f"{where}: this is no http address", again=False) from None
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
        raise NotNow(f"{where} was not reached ({type(error).__name__})") from None
    except httpx.TimeoutException:
        raise NoAnswer(f"{where} did not answer in {timeout:g} s") from None
    except httpx.HTTPError as error:
        raise NoAnswer(f"{where} broke off ({type(error).__name__})") from None


def bearer(token: str) -> dict[str, str]:
    """The header that shows this token; none for an empty one."""
    return {"Authorization": f"Bearer {token}"} if token else {}


def health(address: str, timeout: float) -> Health:
    """Asks a health address once; only 2xx is healthy."""
    try:
        answer = ask("GET", address, timeout=timeout, proxies=False)
    except FarSideError as error:
        return Health(ok=False, says=error.says)
    return Health(ok=200 <= answer.status < 300, says=f"{place(address)} answered {answer.status}")


class JobOverHttp:
    """The client of one `HttpJob`."""

    def __init__(self, job: HttpJob) -> None:
        self._job = job

    def missing(self, run_id: str) -> str:
        """Why this job cannot be asked for with this failed run's id; empty when it can."""
        used = any("{run_id}" in template for template in (self._job.run, self._job.status, self._job.lookup))
        if used and not run_id:
            return "the event named no run, and the job is asked for by its run"
        if used and not _RUN_ID.fullmatch(run_id):
            return "the run's id holds characters that do not belong into an address"
        return ""

    def start(self, key: str, run_id: str) -> Run:
        """Asks for a run under `key`. Raises NotNow, NoAnswer, or FarSideError (again=False) when refused.

        Without a status address the answer itself is the result: then 5xx is a run that failed.
        """
        job = self._job
        answer = self._ask(job.method, _fill(job.run, run_id=run_id), {"Idempotency-Key": key})
        says = f"{place(job.run)} answered {answer.status}"
        if 200 <= answer.status < 300:
            return self._run(answer, otherwise="running" if job.status else "succeeded")
        if answer.status in (502, 504):
            raise NoAnswer(f"{says}: a gateway in between does not know")
        if answer.status in (408, 409, 425, 429, 503):
            raise NotNow(says, _retry_after(answer))
        if answer.status >= 500:
            if not job.status:
                return Run(id="", status="failed")
            raise NotNow(says) if job.idempotent else NoAnswer(says)
        raise FarSideError(says, again=False)

    def lookup(self, key: str, run_id: str) -> Run | None:
        """The run that `key` started, None when there is none. Only where the job has a lookup address."""
        address = _fill(self._job.lookup, run_id=run_id)
        joined = "&" if "?" in address else "?"
        answer = self._ask("GET", f"{address}{joined}key={quote(key, safe='')}")
        if answer.status == 404:
            return None
        return self._run(self._good(answer), otherwise="running" if self._job.status else "succeeded")

    def status(self, run: str, run_id: str) -> Run:
        """How the run fares. Only where the job has a status address. Raises FarSideError."""
        address = _fill(self._job.status, run=run, run_id=run_id)
        return self._run(self._good(self._ask("GET", address)), otherwise="").model_copy(update={"id": run})

    @property
    def follows_runs(self) -> bool:
        """Whether the status address needs the new run's id."""
        return "{run}" in self._job.status

    def _ask(self, method: str, address: str, headers: dict[str, str] | None = None) -> Answer:
        headers = {"Accept": "application/json", **(headers or {})}
        headers |= bearer(self._job.bearer())
        return ask(method, address, timeout=self._job.timeout, headers=headers)

    def _good(self, answer: Answer) -> Answer:
        if 200 <= answer.status < 300:
            return answer
        again = answer.status >= 500 or answer.status in (408, 425, 429)
        raise FarSideError(f"{place(self._job.run)} answered {answer.status}", again=again)

    def _run(self, answer: Answer, otherwise: str) -> Run:
        try:
            said: Any = orjson.loads(answer.body) if answer.body.strip() else {}
        except orjson.JSONDecodeError:
            said = {}
        said = said if isinstance(said, dict) else {}
        status = said.get("status", otherwise)
        if status not in ("succeeded", "failed", "running"):
            if otherwise == "running":  # "queued", "accepted": the status address will tell
                return Run(id=str(said.get("id", "")), status="running")
            raise FarSideError(f"{place(self._job.run)} gave a status we do not know", again=False)
        return Run(id=str(said.get("id", "")), status=status)


def _fill(template: str, **values: str) -> str:
    for name, value in values.items():
        template = template.replace("{" + name + "}", quote(value, safe=""))
    return template


def _retry_after(answer: Answer) -> float | None:
    """The seconds form of Retry-After, at most an hour; 409 means "under way", so soon."""
    said = answer.headers.get("retry-after", "")
    if said.isdecimal():
        return min(float(said), 3600.0)
    return 2.0 if answer.status == 409 else None
