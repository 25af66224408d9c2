"""A marketplace and a vendor's service at their worst: they quote back all that they were sent.

Errors quote the request's headers and body as they came, and taken apart. It gives a token to who
signs in with `known`, and to nobody else.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl

from tests.serving import Serving, SilentHandler


class Echoing(Serving):
    """Quotes back while its block runs."""

    def __init__(self, known: str, token: str) -> None:
        """`known`: the client id that gets `token`."""
        self.known = known
        self.token = token
        self.requests: list[bytes] = []
        super().__init__(_handler(self))

    def answer(self, method: str, path: str, head: str, body: str) -> tuple[int, Any]:
        """The status and the document for a request."""
        self.requests.append(f"{method} {path}\n{head}\n{body}".encode())
        form = dict(parse_qsl(body))
        said = [f"cannot {method} {path}: {head}", f"not with {body}", *form.values()]
        if path.startswith("/oauth"):
            if form.get("client_id") == self.known:
                return 200, {"access_token": self.token, "token_type": "Bearer", "expires_in": 900}
            return 400, {"error": "invalid_client", "error_description": " ".join(said)}
        if path.startswith("/xandr"):
            return 200, {"response": {"error_id": "UNAUTH", "error": " ".join(said)}}
        return (422 if method in ("PATCH", "POST") else 500), {"message": said[0], "errors": said}


def _handler(echoing: Echoing) -> type[BaseHTTPRequestHandler]:
    class Handler(SilentHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            head = " ".join(f"{name}: {value}" for name, value in self.headers.items())
            status, document = echoing.answer(self.command, self.path, head, body)
            answered = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answered)))
            self.end_headers()
            self.wfile.write(answered)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer  # noqa: N815

    return Handler
