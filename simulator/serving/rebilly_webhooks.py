"""Rebilly's credentials and webhooks: what `connect` registers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from simulator.run import Run
from simulator.sending.rebilly_subscription import Subscription
from simulator.serving.problems import Problem, body_of
from simulator.serving.rebilly_access import invalid, owner

Page = Callable[[Run, Request, list[dict[str, Any]]], Response]
_MOST_ACTIVE = 25


class Connecting:
    """Service credentials by hash, and webhooks by id."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._credentials: dict[str, dict[str, Any]] = {}
        self._webhooks: dict[str, tuple[Subscription, dict[str, Any]]] = {}

    async def credentials(self, request: Request) -> Response:
        """GET all, or POST one; for an identical one 303, whose body is the one there is."""
        owner(self._run, request)
        if request.method == "GET":
            return JSONResponse([_shown(one) for one in self._credentials.values()])
        said = await body_of(request)
        host, auth = said.get("host"), said.get("auth")
        faults = []
        if not isinstance(host, str) or ":" in host or "/" in host:
            faults.append(("host", "Not a host name without a port"))
        if not isinstance(auth, dict) or auth.get("type") not in ("none", "basic", "digest"):
            faults.append(("auth.type", "Not none, basic or digest"))
        if faults:
            raise invalid(faults)
        digest = hashlib.sha256(json.dumps([host, auth], sort_keys=True).encode()).hexdigest()[:40]
        location = f"{request.url.path}/{digest}"
        if digest in self._credentials:
            known = _shown(self._credentials[digest])
            return JSONResponse(known, 303, headers={"Location": location})
        self._credentials[digest] = {"hash": digest, "status": "active", "host": host, "auth": auth}
        shown = _shown(self._credentials[digest])
        return JSONResponse(shown, 201, headers={"Location": location})

    async def webhooks(self, page: Page, request: Request) -> Response:
        """GET all, or POST one."""
        owner(self._run, request)
        if request.method == "GET":
            return page(self._run, request, [shown for _, shown in self._webhooks.values()])
        said = await body_of(request)
        faults = [(name, f"{name} is required") for name in ("method", "url") if not said.get(name)]
        credential = self._credentials.get(str(said.get("credentialHash")))
        if credential is None:
            faults.append(("credentialHash", "No such credential"))
        active = sum(shown["status"] == "active" for _, shown in self._webhooks.values())
        if active >= _MOST_ACTIVE:
            faults.append(("status", f"More than {_MOST_ACTIVE} active webhooks"))
        if faults or credential is None:
            raise invalid(faults)
        auth = credential["auth"]
        pair = (str(auth.get("username", "")), str(auth.get("password", "")))
        events = tuple(said.get("eventsFilter") or ())
        made = self._run.hooks.subscribe(said["url"], pair, events)
        number = f"hook_{made.id}"
        self._webhooks[number] = (made, {"id": number, "status": "active", "headers": [], **said})
        self._apply(number)
        return JSONResponse(self._webhooks[number][1], 201)

    async def webhook(self, request: Request) -> Response:
        """GET, PUT, PATCH or DELETE one."""
        owner(self._run, request)
        number = request.path_params["id"]
        if number not in self._webhooks:
            raise Problem(404, {"title": "Not found", "status": 404})
        made, shown = self._webhooks[number]
        if request.method == "DELETE":
            self._run.hooks.subscriptions.remove(made)
            del self._webhooks[number]
            return Response(status_code=204)
        if request.method in ("PUT", "PATCH"):
            shown |= {**(await body_of(request)), "id": number}
            self._apply(number)
        return JSONResponse(shown)

    def _apply(self, number: str) -> None:
        made, shown = self._webhooks[number]
        made.url, made.active = shown["url"], shown["status"] == "active"
        made.events = tuple(shown.get("eventsFilter") or ())


def _shown(credential: dict[str, Any]) -> dict[str, Any]:
    """The credential, less its password."""
    auth = {name: value for name, value in credential["auth"].items() if name != "password"}
    return {**credential, "auth": auth}
