"""Git over https with a password: a real `git http-backend` behind TLS that lets nobody else in."""

import base64
import datetime
import ipaddress
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from app.systems.connections import GitBranch
from app.systems.far_side import FarSideError
from app.systems.git import opened
from tests.far_git import Hub, Origin, private_key


class Served:
    """The repository at `url`; the passwords that were tried, and one that is let in."""

    def __init__(self, origin: Origin, certificate: Path, key: Path) -> None:
        self.tried: list[str] = []
        self.password = ""
        served = self
        origin.git("config", "http.receivepack", "true")

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                basic = (self.headers["Authorization"] or "").removeprefix("Basic ")
                served.tried.append(base64.b64decode(basic).decode())
                if served.tried[-1] != f"x-access-token:{served.password}":
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="git"')
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                path, _, query = self.path.partition("?")
                environment = {
                    "PATH": os.environ["PATH"],
                    "GIT_PROJECT_ROOT": str(origin.folder.parent),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "PATH_INFO": path,
                    "QUERY_STRING": query,
                    "REQUEST_METHOD": self.command,
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                    "CONTENT_LENGTH": str(length),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                    "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                }
                done = subprocess.run(
                    ["git", "http-backend"], input=body, env=environment, capture_output=True, check=True
                )
                head, _, rest = done.stdout.partition(b"\r\n\r\n")
                lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
                self.send_response(int(lines.pop("Status", "200")[:3]))
                for name, value in {**lines, "Content-Length": str(len(rest))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(rest)

            def log_message(self, format: str, *args: object) -> None:
                """Tests read answers, not logs."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda request, client: None  # type: ignore[method-assign]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_port}/origin.git"


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path, {"a.yaml": "a: 1\n"})


@pytest.fixture
def served(origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    key_file, certificate = tmp_path / "tls.key", tmp_path / "tls.crt"
    key_file.write_text(private_key())
    key = load_pem_private_key(private_key().encode(), None)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())  # type: ignore[arg-type]
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())  # type: ignore[arg-type]
    )
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate))
    served = Served(origin, certificate, key_file)
    thread = threading.Thread(target=served.server.serve_forever, args=(0.02,))
    thread.start()
    yield served
    served.server.shutdown()
    thread.join()
    served.server.server_close()


def test_a_token_from_a_file_lets_us_in_and_is_shown_nowhere(
    served: Served, origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("one-token\n")
    at = GitBranch(remote=served.url, branch="main", token_file=tmp_path / "token", timeout=20)
    with pytest.raises(FarSideError) as error, opened(at):
        pass
    assert not error.value.again
    assert "one-token" not in error.value.says
    served.password = "one-token"
    arguments: list[str] = []
    popen = subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda args, **more: arguments.extend(args) or popen(args, **more)
    )
    with opened(at) as clone:
        clone.push(clone.commit(clone.tip, {"a.yaml": b"a: 2\n"}, "x"), "main", clone.tip)
        kept = "".join(path.read_text("latin-1") for path in (tmp_path).rglob("config") if path.is_file())
    assert origin.text("a.yaml") == "a: 2\n"
    assert served.url in arguments
    secrets = ("one-token", base64.b64encode(b"x-access-token:one-token").decode())
    assert not any(secret in text for secret in secrets for text in [*arguments, kept])


def test_where_github_is_registered_its_token_is_used(served: Served, origin: Origin, tmp_path: Path) -> None:
    with Hub(origin).running() as hub:
        where = {"remote": served.url, "branch": "main", "github": hub.app(tmp_path), "timeout": 20}
        at = GitBranch.model_validate(where)
        with pytest.raises(FarSideError), opened(at):
            pass
        (served.password,) = hub.tokens
        with opened(at) as clone:
            assert clone.tip == origin.first


def test_a_certificate_that_nobody_vouches_for(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GIT_SSL_CAINFO")
    monkeypatch.setenv("GIT_SSL_NO_VERIFY", "1")
    at = GitBranch(remote=served.url, branch="main", timeout=20)
    with pytest.raises(FarSideError, match="certificate"), opened(at):
        pass
    assert served.tried == []
