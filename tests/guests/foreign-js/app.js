// A small web application on `wasi:http`, as it would be written for any host of that interface.
import { Fields, OutgoingBody, OutgoingResponse, ResponseOutparam } from "wasi:http/types@0.2.10";

const READ_BYTES = 16 * 1024;
const WRITE_BYTES = 4096;

// Resources are given back by hand: the host wants a stream closed before its body ends.
const dispose = Symbol.dispose ?? Symbol.for("dispose");

// Requests that this instance has answered.
let served = 0;

export const incomingHandler = {
  handle(request, responseOut) {
    served += 1;
    const [path, query = ""] = (request.pathWithQuery() ?? "/").split("?");
    const method = request.method().tag;
    if (path === "/" && method === "get") {
      answer(responseOut, 200, "text/plain", bytes("Hello from JavaScript\n"));
    } else if (path === "/echo" && method === "post") {
      const [kind] = request.headers().get("content-type");
      answer(responseOut, 200, kind ? String.fromCharCode(...kind) : "application/octet-stream", body(request));
    } else if (path === "/about") {
      const headers = [...new Set(request.headers().entries().map(([name]) => name.toLowerCase()))].sort();
      answer(responseOut, 200, "application/json", bytes(JSON.stringify({ path, query, served, headers })));
    } else if (path === "/boom") {
      throw new Error("boom");
    } else {
      answer(responseOut, 404, "text/plain", bytes("nothing here\n"));
    }
  },
};

function body(request) {
  const parts = [];
  const incoming = request.consume();
  const stream = incoming.stream();
  try {
    for (;;) parts.push(...stream.blockingRead(READ_BYTES));
  } catch {
    // Closed: the body is at its end.
  }
  stream[dispose]();
  incoming[dispose]();
  return Uint8Array.from(parts);
}

function answer(out, status, kind, data) {
  const response = new OutgoingResponse(Fields.fromList([["content-type", bytes(kind)]]));
  response.setStatusCode(status);
  const outgoing = response.body();
  ResponseOutparam.set(out, { tag: "ok", val: response });
  const stream = outgoing.write();
  for (let at = 0; at < data.length; at += WRITE_BYTES) stream.blockingWriteAndFlush(data.slice(at, at + WRITE_BYTES));
  stream[dispose]();
  OutgoingBody.finish(outgoing, null);
}

// Text of ASCII, which is all that is written here.
function bytes(text) {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
