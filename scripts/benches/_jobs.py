"""The far side of the repairs, a process of its own: runs jobs, once per Idempotency-Key, and counts.

Prints its address. `GET /asked` tells of each key how often it was asked for and when first, in seconds since 1970.
"""

import asyncio
import json
import re
import time

_LENGTH = re.compile(rb"content-length: *(\d+)", re.I)
_KEY = re.compile(rb"idempotency-key: *(\S+)", re.I)
_asked: dict[str, list[float]] = {}


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            if length:
                await reader.readexactly(int(length[1]))
            body = json.dumps(_told(head)).encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                % (len(body), body)
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def _told(head: bytes) -> object:
    if head.startswith(b"GET /asked"):
        return {key: {"times": len(at), "first": at[0]} for key, at in _asked.items()}
    key = _KEY.search(head)
    assert key is not None
    _asked.setdefault(key[1].decode(), []).append(time.time())
    return {"id": key[1].decode(), "status": "succeeded"}


async def main() -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    print(f"http://{host}:{port} ", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
