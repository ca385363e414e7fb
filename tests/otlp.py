"""An OpenTelemetry collector on a loopback port: takes OTLP over HTTP, and decodes what it is sent."""

import gzip
from http.server import ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.doubles import Quiet, Served


class Collector(Served):
    """Refuses what is not protobuf on the one path that there is; keeps every span."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.refused: list[str] = []
        collector = self

        class Handler(Quiet):
            def do_POST(self) -> None:
                collector.take(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def take(self, to: Quiet) -> None:
        body = to.body()
        if to.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if to.path != "/v1/traces" or to.headers.get("Content-Type") != "application/x-protobuf":
            self.refused.append(f"{to.path} {to.headers.get('Content-Type')}")
            return to.answer(400)
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        self.bodies.append(body)
        for of_resource in request.resource_spans:
            self.resources.append(
                {one.key: one.value.string_value for one in of_resource.resource.attributes}
            )
            for of_scope in of_resource.scope_spans:
                self.spans += of_scope.spans
        return to.answer(200)

    def named(self, name: str) -> list[Any]:
        """The spans of this name."""
        return [span for span in self.spans if span.name == name]


def told(span: Any) -> dict[str, Any]:
    """A span's attributes."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}
