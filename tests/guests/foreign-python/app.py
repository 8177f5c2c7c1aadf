"""A small web application on `wasi:http`, as it would be written for any host of that interface."""

import json
import sys

from componentize_py_types import Ok
from wit_world import exports
from wit_world.imports.types import (
    Fields,
    IncomingRequest,
    Method_Get,
    Method_Post,
    OutgoingBody,
    OutgoingResponse,
    ResponseOutparam,
)

READ_BYTES = 16 * 1024
WRITE_BYTES = 4096

# Requests that this instance has answered.
served = 0


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        global served
        served += 1
        path, _, query = (request.path_with_query() or "/").partition("?")
        method = request.method()
        if path == "/" and isinstance(method, Method_Get):
            answer(response_out, 200, "text/plain", b"Hello from Python\n")
        elif path == "/echo" and isinstance(method, Method_Post):
            kind = request.headers().get("content-type")
            answer(response_out, 200, kind[0].decode() if kind else "application/octet-stream", body(request))
        elif path == "/about":
            headers = sorted({name.lower() for name, _ in request.headers().entries()})
            about = {"path": path, "query": query, "served": served, "headers": headers}
            answer(response_out, 200, "application/json", json.dumps(about).encode())
        elif path == "/boom":
            print("about to fail", file=sys.stderr)
            raise RuntimeError("boom")
        else:
            answer(response_out, 404, "text/plain", b"nothing here\n")


def body(request: IncomingRequest) -> bytes:
    parts = []
    with request.consume() as incoming, incoming.stream() as stream:
        while True:
            try:
                parts.append(stream.blocking_read(READ_BYTES))
            except Exception:  # closed: the body is at its end
                return b"".join(parts)


def answer(out: ResponseOutparam, status: int, kind: str, data: bytes) -> None:
    headers = Fields.from_list([("content-type", kind.encode())])
    response = OutgoingResponse(headers)
    response.set_status_code(status)
    outgoing = response.body()
    ResponseOutparam.set(out, Ok(response))
    with outgoing.write() as stream:
        for at in range(0, len(data), WRITE_BYTES):
            stream.blocking_write_and_flush(data[at : at + WRITE_BYTES])
    OutgoingBody.finish(outgoing, None)
