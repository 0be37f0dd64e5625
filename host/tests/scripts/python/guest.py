"""A plain component of the standard, made with componentize-py."""

import json
import os
import socket

from componentize_py_types import Ok
from wit_world import exports
from wit_world.imports.types import Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam

# A test that wants another version of this component changes these letters.
VERSION = "python-one"


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        if request.path_with_query() == "/python/surroundings":
            text = json.dumps(surroundings())
        else:
            email = request.headers().get("x-principal-email")
            text = json.dumps({"version": VERSION, "email": email[0].decode() if email else None})
        response = OutgoingResponse(Fields.from_list([("content-type", b"application/json")]))
        body = response.body()
        ResponseOutparam.set(response_out, Ok(response))
        with body.write() as stream:
            stream.blocking_write_and_flush(text.encode())
        OutgoingBody.finish(body, None)


def surroundings() -> dict:
    """What the component reaches around it. Each value names an error, or is empty."""
    attempts = {
        "read": lambda: open("/etc/passwd").read(),
        "write": lambda: open("/tmp/x", "w").write("x"),
        "list": lambda: os.listdir("/"),
        "connect": lambda: socket.create_connection(("127.0.0.1", 1)),
        "listen": lambda: socket.create_server(("127.0.0.1", 0)),
        "resolve": lambda: socket.getaddrinfo("localhost", 80),
    }
    return {"environment": dict(os.environ)} | {name: attempt(action) for name, action in attempts.items()}


def attempt(action) -> str:
    try:
        return f"done: {action()}"
    except Exception as error:
        return type(error).__name__
