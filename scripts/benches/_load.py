"""The sender, a process of its own: keep-alive connections, requests made beforehand, answers read afterwards.

Prints one JSON object; writes the ids of the events that were acknowledged to the file `--ids`.
"""

import argparse
import asyncio
import gc
import json
import re
import resource
import sys
import time
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import cast

from scripts.benches._common import milliseconds
from scripts.benches._messages import reports

# More than it could ever send: 8,000 single requests or 40,000 events in batches a second.
_MOST_REQUESTS, _MOST_EVENTS = 8_000, 40_000
_LENGTH = re.compile(rb"content-length: *(\d+)", re.I)


def requests(options: argparse.Namespace) -> list[bytes]:
    """Whole HTTP requests, as they go over the wire."""
    head = (
        f"POST {options.path} HTTP/1.1\r\nHost: {options.host}:{options.port}\r\n"
        f"Authorization: Bearer {options.key}\r\nContent-Type: application/json\r\nContent-Length: "
    )
    source = reports(options.seed)
    made = []
    most = _MOST_REQUESTS if options.batch == 1 else _MOST_EVENTS // options.batch
    for _ in range(int(most * options.seconds)):
        chosen = list(islice(source, options.batch))
        body = json.dumps(chosen[0] if options.batch == 1 else chosen, separators=(",", ":"))
        made.append(f"{head}{len(body)}\r\n\r\n{body}".encode())
    return made


class Load:
    """What all connections share."""

    def __init__(self, waiting: list[bytes], seconds: float) -> None:
        self.waiting = waiting
        self.ends = time.perf_counter() + seconds
        self.answers: list[bytes] = []
        self.taken: list[float] = []
        self.open = 0
        self.lost = 0
        self.done = asyncio.get_running_loop().create_future()


class Connection(asyncio.Protocol):
    """Sends the next request when the answer to the last one is whole."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._received = b""
        self._began: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._load.open += 1
        self._send()

    def _send(self) -> None:
        self._began = None
        if not self._load.waiting or time.perf_counter() >= self._load.ends:
            self._transport.close()
            return
        self._began = time.perf_counter()
        self._transport.write(self._load.waiting.pop())

    def data_received(self, data: bytes) -> None:
        received = self._received = self._received + data if self._received else data
        head = received.find(b"\r\n\r\n")
        length = _LENGTH.search(received, 0, head) if head > 0 else None
        if length is None or len(received) < head + 4 + int(length[1]):
            return
        assert self._began is not None
        self._load.taken.append(time.perf_counter() - self._began)
        self._load.answers.append(received)
        self._received = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.open -= 1
        self._load.lost += self._began is not None
        if not self._load.open and not self._load.done.done():
            self._load.done.set_result(None)


async def send(options: argparse.Namespace, waiting: list[bytes]) -> tuple[Load, float, float]:
    """Everything that came back, the seconds it took, and the share of a CPU that sending took."""
    loop = asyncio.get_running_loop()
    load = Load(waiting, options.seconds)
    used = resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    connecting = [
        loop.create_connection(lambda: Connection(load), options.host, options.port)
        for _ in range(options.connections)
    ]
    # A server that is killed on purpose may be gone before the last of them is there.
    await asyncio.gather(*connecting, return_exceptions=True)
    if load.open:
        await load.done
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    return load, took, (after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime) / took


def main() -> None:
    """Makes the requests, says so, waits for a line, sends, and reports."""
    import uvloop

    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--path", default="/api/v1/events")
    parser.add_argument("--key", default="")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--ids", type=Path, required=True)
    options = parser.parse_args()
    waiting = requests(options)
    gc.collect()
    gc.freeze()
    gc.disable()
    print("made", flush=True)
    sys.stdin.readline()
    load, took, share = uvloop.run(send(options, waiting))
    statuses: Counter[str] = Counter()
    ids: list[str] = []
    for answer in load.answers:
        statuses[answer[9:12].decode()] += 1
        if answer[9:12] == b"202":
            body = json.loads(answer.partition(b"\r\n\r\n")[2])
            ids += [one["event_id"] for one in body.get("accepted", [body])]
    options.ids.write_text("\n".join(ids))
    print(
        json.dumps(
            {
                "events_per_second": round(len(ids) / took),
                "acknowledged": len(ids),
                "seconds": round(took, 2),
                "statuses": dict(statuses),
                "cut_off": load.lost,
                "request_ms": milliseconds(load.taken),
                "sender_cpu": round(share, 2),
            }
        )
    )


if __name__ == "__main__":
    main()
