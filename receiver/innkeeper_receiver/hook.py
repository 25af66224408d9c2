"""The hook: one delivery from the wire to its answer.

1. Bound the body. 2. Take the outer form apart. 3. Verify, entitle, normalise. 4. Append.
5. Answer. Nothing else is done while the sender waits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from msgspec.structs import replace
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from innkeeper.config import App, Basic, Config, Header
from innkeeper.lifecycle.errors import Malformed, Reason, Rejected
from innkeeper.lifecycle.events import Event, EventKind, InstanceKey
from innkeeper.logs import get_logger
from innkeeper.platforms import admission, inbound_of, jws
from innkeeper.platforms.admission import Admitted, Opened
from innkeeper.secrets import KeyRing
from innkeeper.store.entry import Captured, NewEntry, new_delivery_id
from innkeeper.store.errors import StoreError, StoreUnavailable
from innkeeper.store.rejected import Refusal
from innkeeper_receiver import answers
from innkeeper_receiver.appending import Appender
from innkeeper_receiver.bodies import TooLarge, read_body
from innkeeper_receiver.callers import caller_of, is_within, neighbourhood, networks
from innkeeper_receiver.discovery import KeysUnavailable
from innkeeper_receiver.figures import Figures
from innkeeper_receiver.refusals import Refusals
from innkeeper_receiver.shares import Held, Overloaded, Room
from innkeeper_receiver.signing_keys import SigningKeys

NEVER_CAPTURED = frozenset({"authorization", "proxy-authorization", "cookie"})
_UNCOMPRESSED = {
    b"content-encoding": (b"", b"identity"),
    b"transfer-encoding": (b"chunked",),
}
log = get_logger()


@dataclass(slots=True, kw_only=True)
class _Told:
    """What the log line of a delivery says, gathered on the way."""

    platform: str
    app: str | None = None
    status: int = 0
    delivery: str | None = None
    instance: str | None = None
    type: str | None = None
    mark: str | None = None
    reason: str | None = None
    detail: str | None = None


_TOLD = _Told.__slots__


class Hook:
    """Takes the deliveries of all configured apps."""

    def __init__(
        self,
        config: Config,
        ring: KeyRing,
        appender: Appender,
        keys: SigningKeys,
        refusals: Refusals,
        figures: Figures,
        adopting: Callable[[], frozenset[InstanceKey]],
    ) -> None:
        """Everything that outlives a request. `adopting`: see `StoreWatch`, as of now."""
        self._adopting = adopting
        self._config = config
        self._ring = ring
        self._appender = appender
        self._keys = keys
        self._refusals = refusals
        self._figures = figures
        self._trusted = networks(config.receiver.trusted_proxies)
        self._unproven = Room("bodies", "caller", figures.shed)
        self._proven = Room("deliveries", "signer", figures.shed)

    async def __call__(self, request: Request) -> Response:
        """Answer one delivery."""
        started = time.perf_counter()
        told = _Told(platform=request.path_params["platform"])
        response = await self._answer(request, told)
        told.status = response.status_code
        self._figures.answered(told.platform, told.app or "-", told.status)
        fields = ((name, getattr(told, name)) for name in _TOLD)
        milliseconds = round((time.perf_counter() - started) * 1000, 2)
        said = {name: value for name, value in fields if value is not None}
        log.info("delivery.received", milliseconds=milliseconds, **said)
        return response

    async def _answer(self, request: Request, told: _Told) -> Response:
        inbound = inbound_of(told.platform)
        name = request.path_params.get("name")
        app = self._config.app(told.platform, name) if name else None
        if inbound is None or (app is None and (name or not inbound.ROUTES_WITHOUT_NAME)):
            told.platform = told.platform if inbound else "-"
            return answers.problem(404)
        told.app = app.name if app else "-"
        if _is_compressed(request):
            return answers.problem(415)
        with self._unproven.held_by(neighbourhood(caller_of(request, self._trusted))) as held:
            try:
                return await self._take(inbound, app, request, told, held)
            except Overloaded:
                return answers.unavailable("overloaded")

    async def _take(
        self, inbound: ModuleType, app: App | None, request: Request, told: _Told, held: Held
    ) -> Response:
        bounds = self._config.receiver
        try:
            body = await read_body(
                request,
                most_bytes=bounds.max_body,
                within_seconds=bounds.body_within,
                take=held.take,
            )
        except TooLarge:
            return answers.problem(413, headers={"connection": "close"})
        except TimeoutError:
            return answers.problem(408, headers={"connection": "close"})
        except ClientDisconnect:
            return answers.problem(400)
        asked = _request(request, told.platform, body)
        try:
            return await self._admit(inbound, asked, app, request, told, held)
        except Malformed as error:
            told.detail = str(error)
            return answers.problem(400, str(error))
        except Rejected as error:
            return self._refuse(error, asked, app, told)
        except (KeysUnavailable, StoreUnavailable, StoreError) as error:
            told.detail = str(error)
            return answers.unavailable("the delivery cannot be stored or checked now")

    async def _admit(
        self,
        inbound: ModuleType,
        asked: admission.Request,
        app: App | None,
        request: Request,
        told: _Told,
        held: Held,
    ) -> Response:
        now = time.time()
        opened = inbound.open_request(asked, app)
        self._check_caller(request, app)
        try:
            admitted = await self._prove(inbound, opened, now)
        except Rejected as error:
            self._compare_clocks(opened, error.issued_at, now)
            raise
        self._compare_clocks(opened, admitted.issued_at, now)
        # The body may name another app than the path.
        self._check_caller(request, self._config.app(told.platform, admitted.instance.app))
        told.app, told.instance = admitted.instance.app, str(admitted.instance)
        told.type, told.mark = admitted.event.type[:200], admitted.mark
        entry = NewEntry(
            delivery=new_delivery_id(admitted.instance, now=now),
            instance=admitted.instance,
            at=now,
            event=self._event(inbound, admitted),
            mark=admitted.mark,
            signer=admitted.signer,
            claims=admitted.claims,
            expires_at=admitted.expires_at,
            captured=_captured(asked, app),
        )
        held.give_back()
        app_and_signer = (told.platform, told.app, admitted.signer)
        with self._proven.held_by(app_and_signer) as waiting:
            waiting.take(len(asked.body))
            appended = await self._appender.append(entry)
        told.delivery = appended.delivery
        if appended.duplicate:
            return answers.duplicate(appended.delivery)
        return answers.accepted(appended.delivery)

    def _event(self, inbound: ModuleType, admitted: Admitted) -> Event:
        """The event; until its app's customers are all known, one who turns up was there before.

        Not who installs the app just now; and who leaves is gone, whoever knew of it.
        """
        event, key = admitted.event, admitted.instance
        pseudo = InstanceKey.pseudo(key.platform, key.app)
        there = event.kind is EventKind.STATED and event.type not in inbound.INSTALLS
        return replace(event, adopts=True) if there and pseudo in self._adopting() else event

    async def _prove(self, inbound: ModuleType, opened: Opened, now: float) -> Admitted:
        wanted = opened.wanted
        if wanted is None:
            return self._admitted(inbound, opened, (), now)
        policies = await self._keys.find(opened.app, wanted, now=now)
        slow = any(policy.algorithm in jws.SLOW_ALGORITHMS for policy in policies)
        try:
            if slow:
                return await asyncio.to_thread(self._admitted, inbound, opened, policies, now)
            return self._admitted(inbound, opened, policies, now)
        except Rejected:
            fresh = await self._keys.find_again(opened.app, wanted, now=now)
            if not fresh:
                raise
            return self._admitted(inbound, opened, fresh, now)

    def _admitted(self, inbound: ModuleType, opened: Opened, policies: Any, now: float) -> Admitted:
        admitted: Admitted = inbound.admit(opened, self._config.apps, policies, now)
        return admitted

    def _compare_clocks(self, opened: Opened, issued_at: float | None, now: float) -> None:
        # A customer's key may sign any time it likes: only the provider's tells the hour.
        if issued_at is not None and opened.wanted and opened.wanted.account is None:
            self._figures.clock.compare(opened.request.platform, issued_at, now)

    def _check_caller(self, request: Request, app: App | None) -> None:
        allowed = getattr(app, "allow_ips", ())
        if allowed and not is_within(caller_of(request, self._trusted), networks(allowed)):
            raise Rejected(Reason.ADDRESS_NOT_ALLOWED, "the caller's address is not allowed")

    def _refuse(
        self, error: Rejected, asked: admission.Request, app: App | None, told: _Told
    ) -> Response:
        told.reason, told.detail = error.reason, error.detail
        self._figures.refused.labels(told.platform, told.app, error.reason).inc()
        credentials = {getattr(app, "credential", None)} if app else set()
        if app is not None:
            value = _credential(asked, app)
            refusal = Refusal(
                at=time.time(),
                reason=error.reason,
                detail=error.detail[:500],
                captured=_captured(asked, app),
                credential=self._ring.digest("credential", value) if value else None,
            )
            self._refusals.keep(InstanceKey.pseudo(told.platform, app.name), refusal)
        else:
            credentials = {getattr(other, "credential", None) for other in self._config.apps}
        return answers.refused(basic=any(isinstance(one, Basic) for one in credentials))


def _is_compressed(request: Request) -> bool:
    return any(
        encoding.strip() not in _UNCOMPRESSED[name]
        for name, value in request.scope["headers"]
        if name in _UNCOMPRESSED
        for encoding in value.lower().split(b",")
    )


def _request(request: Request, platform: str, body: bytes) -> admission.Request:
    return admission.Request(
        platform=platform,
        app=request.path_params.get("name"),
        query=request.scope["query_string"].decode("latin-1"),
        headers=tuple(
            (key.decode("latin-1"), value.decode("latin-1"))
            for key, value in request.scope["headers"]
        ),
        body=body,
    )


def _captured(asked: admission.Request, app: App | None) -> Captured:
    credential = getattr(app, "credential", None)
    hidden = {credential.name.lower()} if isinstance(credential, Header) else set()
    return Captured(
        app=asked.app,
        query=asked.query,
        headers=tuple(
            header
            for header in asked.headers
            if header[0] not in NEVER_CAPTURED and header[0] not in hidden
        ),
        body=asked.body,
    )


def _credential(asked: admission.Request, app: App) -> str | None:
    """What a request without a signature bore, to be told from today's credential later."""
    credential = getattr(app, "credential", None)
    if isinstance(credential, Header):
        return asked.header(credential.name.lower())
    return asked.header("authorization") if isinstance(credential, Basic) else None
