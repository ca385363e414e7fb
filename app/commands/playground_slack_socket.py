"""The server's end of a WebSocket (RFC 6455), as much of it as Socket Mode needs: whole text frames."""

import base64
import hashlib
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socket import SHUT_RDWR

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10


class Socket:
    """One that was asked for in this request. Iterating gives the texts that come, until it ends."""

    def __init__(self, request: BaseHTTPRequestHandler) -> None:
        self._request = request
        self._lock = threading.Lock()
        key = request.headers.get("Sec-WebSocket-Key", "").encode()
        accept = base64.b64encode(hashlib.sha1(key + _MAGIC, usedforsecurity=False).digest()).decode()
        request.wfile.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )

    def __iter__(self) -> Iterator[str]:
        with suppress(OSError, EOFError, ValueError):
            while True:
                opcode, body = self._read()
                if opcode == _CLOSE:
                    return
                if opcode == _PING:
                    self._send(_PONG, body)
                elif opcode == _TEXT:
                    yield body.decode()

    def send(self, text: str) -> None:
        """Sends one text."""
        self._send(_TEXT, text.encode())

    def hang_up(self) -> None:
        """Ends it without a word."""
        with suppress(OSError):
            self._request.connection.shutdown(SHUT_RDWR)

    def _send(self, opcode: int, body: bytes) -> None:
        size = len(body)
        head = bytes([0x80 | opcode])
        if size < 126:
            head += bytes([size])
        elif size < 65536:
            head += bytes([126]) + struct.pack("!H", size)
        else:
            head += bytes([127]) + struct.pack("!Q", size)
        with self._lock:
            self._request.wfile.write(head + body)

    def _read(self) -> tuple[int, bytes]:
        first, second = self._exactly(2)
        size = second & 127
        if size > 125:
            size = int.from_bytes(self._exactly(2 if size == 126 else 8))
        mask = self._exactly(4)  # a client always masks
        body = bytes(byte ^ mask[n % 4] for n, byte in enumerate(self._exactly(size)))
        return first & 15, body

    def _exactly(self, count: int) -> bytes:
        found = self._request.rfile.read(count)
        if len(found) < count:
            raise EOFError
        return found
