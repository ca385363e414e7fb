"""How long the list of incidents and a trail take, over the API and as pages, with many incidents.

25 to a page: the newest, one from the middle, filtered lists (what is common, what nothing matches), searches (for
one target, for a word that every incident says, and that beside a filter). At each size the service is started on the
same data folder with more incidents in it; each incident has an event and a diagnosis. `cpu_ms` is the processor time
that the service took for each request, whatever else the machine did.
"""

import argparse
import http.client
import json
import re
from typing import Any
from urllib.parse import quote, urlencode

from scripts.benches._common import Running, data_folder, new_key, server, timed
from scripts.benches._incidents import make_incidents

_LIST = "/api/v1/incidents?limit=25"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--times", type=int, default=200, help="each kind of request")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """At each size, from the smallest."""
    found = {}
    with data_folder(options.prepared) as folder:
        have = 0
        for size in sorted(options.sizes):
            make_incidents(folder, size - have, first=have, handled=True)
            have = size
            with server(folder) as running:
                found[str(size)] = _measure(running, new_key(folder, "viewer"), options.times)
    return {"times": options.times, "incidents": found}


def _measure(running: Running, key: str, times: int) -> dict[str, Any]:
    host, port = running.address()
    connection = http.client.HTTPConnection(host, port, timeout=60)

    def get(path: str, headers: dict[str, str], status: int = 200) -> tuple[str, Any]:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        if answer.status != status:
            raise SystemExit(f"bench: {path} answered {answer.status}: {body[:300]}")
        return body, answer.headers

    bearer = {"Authorization": f"Bearer {key}"}
    deep = ""
    for _ in range(20):  # 4,000 incidents down
        deep = json.loads(get(f"{_LIST[:-2]}200&after={quote(deep)}", bearer)[0])["next"] or deep
    cookie = {"Cookie": _sign_in(connection, key)}
    paths = {
        "api": (_LIST, bearer),
        "api_deep": (f"{_LIST}&after={quote(deep)}", bearer),
        "api_state": (f"{_LIST}&state=firing", bearer),
        "api_search": (f"{_LIST}&search=load-0042", bearer),
        "page": ("/", cookie),
        "page_state": ("/?state=firing", cookie),
        "page_filtered": ("/?type=network_timeout&environment=prod&system=airflow", cookie),
        "page_filtered_nothing": ("/?type=network_timeout&owner=nobody", cookie),
        "page_search": ("/?search=load-0042", cookie),
        "page_search_common": ("/?search=while", cookie),
        "page_search_filtered": ("/?search=while&system=dbt&state=resolved", cookie),
        "trail": (f"/incidents/{json.loads(get(_LIST, bearer)[0])['items'][7]['id']}", cookie),
    }
    found: dict[str, Any] = {}
    for name, (path, headers) in paths.items():
        used = running.cpu()
        taken = timed(times, lambda p=path, h=headers: get(p, h))
        found[f"{name}_ms"] = {**taken, "cpu_ms": round((running.cpu() - used) / (times + 3) * 1000, 1)}
    return {**found, "rss_mb": running.megabytes("VmRSS")}


def _sign_in(connection: http.client.HTTPConnection, key: str) -> str:
    """The session's cookie, as a browser gets it."""
    connection.request("GET", "/sign-in")
    form = connection.getresponse()
    token = re.search(r'name="csrf" value="([^"]+)"', form.read().decode())
    door = (form.headers["set-cookie"] or "").partition(";")[0]
    assert token is not None
    fields = urlencode({"csrf": token[1], "key": key, "next": "/"})
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": door}
    connection.request("POST", "/sign-in", fields, headers)
    answer = connection.getresponse()
    answer.read()
    cookies = [value.partition(";")[0] for value in answer.headers.get_all("set-cookie", [])]
    return "; ".join(cookie for cookie in cookies if cookie.startswith("mendline_session="))
