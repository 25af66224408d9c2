"""Xandr's REST API: `/auth` and `/app-installation`, with errors inside answers of status 200."""

from __future__ import annotations

import secrets
import time
from collections import deque
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.run import Run
from simulator.serving.problems import Problem, body_of, show
from simulator.settings import XANDR_PASSWORD, XANDR_USER
from simulator.world.xandr import Installation, document

_MOST_SIGN_INS, _WINDOW_SECONDS = 10, 300.0
_MOST_ROWS = 100
_LIVES_SECONDS = 2 * 3600.0
_WRITABLE = {
    "addendum": "addendum",
    "permissions": "permissions",
    "log_level_data_fee": "fee",
    "subscriber_name": "name",
    "subscriber_email": "email",
    "subscriber_phone": "phone",
}


class Service:
    """Signing in, and the installations."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._sign_ins: deque[float] = deque(maxlen=_MOST_SIGN_INS)

    async def sign_in(self, request: Request) -> Response:
        """POST /auth; the token lives two hours, and there are at most ten in five minutes."""
        said = (await body_of(request)).get("auth")
        now = time.monotonic()
        if len(self._sign_ins) == _MOST_SIGN_INS and now - self._sign_ins[0] < _WINDOW_SECONDS:
            raise _problem("LIMIT", "Too many authentications")
        self._sign_ins.append(now)
        stated = (said.get("username"), said.get("password")) if isinstance(said, dict) else None
        refused = self._run.troubles.strike("xandr", "refusing")
        if stated != (XANDR_USER, XANDR_PASSWORD) or refused:
            raise _problem("NOAUTH", "No match found for user/pass")
        token = self._run.tokens.issue("xandr", XANDR_USER, lives_seconds=_LIVES_SECONDS)
        return JSONResponse({"response": {"status": "OK", "token": token, "dbg_info": {}}})

    async def installations(self, request: Request) -> Response:
        """GET (all, or `?id=`), POST, PUT `?id=`, DELETE `?id=`."""
        self._check_access(request)
        if request.method == "POST":
            return self._one(self._create(await _block(request)))
        if request.method == "GET" and "id" not in request.query_params:
            return self._list(request)
        found = self._found(request)
        if request.method == "PUT":
            self._change(found, await _block(request))
        if request.method == "DELETE":
            self._run.world.clock.tick()
            found.present = False
            return JSONResponse({"response": {"status": "OK", "count": 1, "id": found.id}})
        return self._one(found, legacy=self._legacy())

    def _check_access(self, request: Request) -> None:
        token = request.headers.get("authorization", "")
        known = self._run.tokens.account("xandr", token or request.cookies.get("auth", ""))
        if known is None or self._run.troubles.strike("xandr", "refusing"):
            raise _problem("NOAUTH", "Authentication failed - not logged in")

    def _list(self, request: Request) -> Response:
        start = _number(request, "start_element", 0)
        # More than 100 is cut without a word.
        number = min(_number(request, "num_elements", _MOST_ROWS), _MOST_ROWS)
        every = self._run.world.xandr.present()
        legacy = self._legacy()
        rows = [document(one, legacy=legacy) for one in every[start : start + number]]
        shown, count = self._run.troubles.bend("xandr", rows, len(every))
        return JSONResponse(
            {
                "response": {
                    "status": "OK",
                    "count": count,
                    "start_element": None if legacy else start,
                    "num_elements": None if legacy else number,
                    "app-installations": shown,
                    "dbg_info": {"instance": secrets.token_hex(4)},
                }
            }
        )

    def _one(self, found: Installation, *, legacy: bool = False) -> Response:
        shown: Any = document(found, legacy=legacy)
        if self._run.troubles.strike("xandr", "wrong_types"):
            shown = [shown]
        number: int | str = str(found.id) if found.id % 2 else found.id
        return JSONResponse(
            {
                "response": {
                    "status": "OK",
                    "count": 1,
                    "id": number,
                    "start_element": None if legacy else 0,
                    "num_elements": None if legacy else _MOST_ROWS,
                    "app-installation": shown,
                    "dbg_info": {},
                }
            }
        )

    def _create(self, said: dict[str, Any]) -> Installation:
        try:
            plugin, entity = int(said["plugin_id"]), int(said["subscriber_entity_id"])
        except (KeyError, TypeError, ValueError):
            raise _problem("SYNTAX", "plugin_id and subscriber_entity_id are required") from None
        kind = said.get("subscriber_entity_type", "member")
        if kind not in ("member", "bidder"):
            raise _problem("SYNTAX", "subscriber_entity_type is member or bidder")
        try:
            made = self._run.world.xandr.install(plugin, kind, entity)
        except ValueError as error:
            raise _problem("INTEGRITY", str(error)) from None
        self._change(made, said)
        return made

    def _change(self, found: Installation, said: dict[str, Any]) -> None:
        for name, attribute in _WRITABLE.items():
            if name in said:
                setattr(found, attribute, said[name])
        for name in ("accepted_permission", "accepted_permissions"):
            if name in said:
                self._run.world.xandr.accept(found, accepted=bool(said[name]))
        self._run.world.clock.tick()

    def _legacy(self) -> bool:
        # Which answers have the shape of old, nobody says: here the control does.
        return self._run.troubles.strike("xandr", "legacy") is not None

    def _found(self, request: Request) -> Installation:
        said = request.query_params.get("id", "")
        for found in self._run.world.xandr.present():
            if str(found.id) == said:
                return found
        raise _problem("SYNTAX", f"Installation {said} not found")


def _number(request: Request, name: str, default: int) -> int:
    said = request.query_params.get(name, str(default))
    if not said.isdecimal():
        raise _problem("SYNTAX", f"{name} is no number")
    return int(said)


async def _block(request: Request) -> dict[str, Any]:
    found = (await body_of(request)).get("app-installation")
    if not isinstance(found, dict):
        raise _problem("SYNTAX", "app-installation is missing")
    return found


def _problem(error_id: str, message: str) -> Problem:
    """An error as Xandr tells it: with status 200."""
    return Problem(
        200,
        {
            "response": {
                "error_id": error_id,
                "error": message,
                "error_code": None,
                "dbg_info": {},
            }
        },
    )


def xandr_app(run: Run) -> Starlette:
    """To be mounted."""
    service = Service(run)
    routes = [
        Route("/auth", service.sign_in, methods=["POST"]),
        Route("/app-installation", service.installations, methods=["GET", "POST", "PUT", "DELETE"]),
    ]
    return Starlette(routes=routes, exception_handlers={Problem: show})
