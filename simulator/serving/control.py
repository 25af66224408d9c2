"""`/control/…`: tests and the demo make things happen, go wrong, and read the truth. JSON only."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.run import Run
from simulator.sending.xurrent_webhook import Webhook
from simulator.serving.problems import Problem, body_of
from simulator.troubles import KINDS, Trouble
from simulator.world.messages import Action
from simulator.world.truth import truth
from simulator.world.world import PLATFORMS


def control_routes(run: Run) -> list[Route]:
    """To be mounted under `/control`."""
    return [
        Route("/act", partial(_act, run), methods=["POST"]),
        Route("/perform", partial(_perform, run), methods=["POST"]),
        Route("/settle", partial(_settle, run), methods=["POST"]),
        Route("/rates", partial(_rates, run), methods=["GET", "PATCH"]),
        Route("/trouble", partial(_trouble, run), methods=["POST"]),
        Route("/tokens", partial(_tokens, run), methods=["DELETE"]),
        Route("/truth", partial(_truth, run)),
        Route("/deliveries", partial(_deliveries, run)),
        Route("/webhooks", partial(_webhooks, run)),
        Route("/webhooks/{id:int}", partial(_switch, run), methods=["PATCH"]),
        Route("/handshake", partial(_handshake, run), methods=["POST"]),
    ]


async def _act(run: Run, request: Request) -> Response:
    """`{n, platforms?, wait?}`: n actions by chance; `wait`: until all of it has been settled."""
    said = await body_of(request)
    count, platforms = said.get("n", 1), said.get("platforms", PLATFORMS)
    if not isinstance(count, int) or not set(platforms) <= set(PLATFORMS) or not platforms:
        raise Problem(422, {"message": f"n is no number, or platforms not among {PLATFORMS}"})
    if not said.get("wait", False):
        run.start(_acting(run, count, platforms))
        return JSONResponse({"started": count}, 202)
    actions = await _acting(run, count, platforms)
    await run.settle()
    counts = run.sender.records.counts()
    return JSONResponse({"actions": [_action(one) for one in actions], "deliveries": counts})


async def _acting(run: Run, count: int, platforms: Collection[str]) -> list[Action]:
    actions = await run.act(count, platforms)
    await run.sender.flush()
    return actions


async def _perform(run: Run, request: Request) -> Response:
    """`{app, account, action}`: one named action; 404 where there is no such, 409 if not now."""
    said = await body_of(request)
    try:
        action = await run.perform(said.get("app", ""), said.get("account", ""), said["action"])
    except KeyError as error:
        raise Problem(404, {"message": f"There is no {error}"}) from None
    except ValueError as error:
        raise Problem(409, {"message": str(error)}) from None
    await run.sender.flush()
    return JSONResponse(_action(action))


async def _settle(run: Run, request: Request) -> Response:
    """Wait until nothing is on its way; the counts."""
    await run.settle()
    return JSONResponse(run.sender.records.counts())


async def _rates(run: Run, request: Request) -> Response:
    """GET or PATCH how much goes wrong."""
    if request.method == "PATCH":
        known = msgspec.to_builtins(run.sender.rates)
        try:
            run.sender.rates = msgspec.convert(
                known | await body_of(request), type(run.sender.rates)
            )
        except msgspec.ValidationError as error:
            raise Problem(422, {"message": str(error)}) from None
        for subscription in run.hooks.subscriptions:
            subscription.small = run.sender.rates.small
    return JSONResponse(msgspec.to_builtins(run.sender.rates))


async def _trouble(run: Run, request: Request) -> Response:
    """`{platform, trouble, times?, seconds?}`; `trouble` null ends it."""
    said = await body_of(request)
    platform, kind = said.get("platform"), said.get("trouble")
    if platform not in PLATFORMS or kind not in (None, *KINDS):
        raise Problem(
            422, {"message": f"platform not among {PLATFORMS}, or trouble not in {KINDS}"}
        )
    trouble = None
    if kind is not None:
        trouble = Trouble(kind=kind, times=said.get("times"), seconds=said.get("seconds", 1.0))
    run.troubles.put(platform, trouble)
    return JSONResponse(said)


async def _tokens(run: Run, request: Request) -> Response:
    """DELETE `?platform=`: all access tokens that it has handed out expire."""
    run.tokens.revoke_all(request.query_params.get("platform", ""))
    return Response(status_code=204)


async def _truth(run: Run, request: Request) -> Response:
    """Every instance by its key; `?secrets=true` with the values of their secrets."""
    with_secrets = request.query_params.get("secrets") == "true"
    return JSONResponse(truth(run.world, with_secrets=with_secrets))


async def _deliveries(run: Run, request: Request) -> Response:
    """Counts, and the records: `?outcome=`, `?account=`, `?event=`, `?since=` (a number)."""
    query = request.query_params
    since = int(query.get("since", "0"))
    found = [record.document() for record in run.sender.records.all[since:]]
    for name in ("outcome", "account", "event", "platform", "app"):
        if name in query:
            found = [one for one in found if one[name] == query[name]]
    return JSONResponse({"counts": run.sender.records.counts(), "deliveries": found})


async def _webhooks(run: Run, request: Request) -> Response:
    """Every webhook of Xurrent's."""
    return JSONResponse([_webhook(one) for one in run.hooks.webhooks.values()])


async def _switch(run: Run, request: Request) -> Response:
    """`{disabled}`: switch one on again, or off."""
    webhook = _found(run, request.path_params["id"])
    if (await body_of(request)).get("disabled"):
        webhook.disabled = True
    else:
        webhook.switch_on()
    return JSONResponse(_webhook(webhook))


async def _handshake(run: Run, request: Request) -> Response:
    """`{webhook}`: as if its URI had changed: not verified until it is called back."""
    webhook = _found(run, (await body_of(request)).get("webhook"))
    webhook.verified, webhook.verified_at = False, None
    await run.tell([run.hooks.handshake(webhook)])
    await run.sender.flush()
    return JSONResponse(_webhook(webhook))


def _found(run: Run, number: Any) -> Webhook:
    webhook = run.hooks.webhooks.get(number)
    if webhook is None:
        raise Problem(404, {"message": f"There is no webhook {number}"})
    return webhook


def _webhook(webhook: Webhook) -> dict[str, Any]:
    policy = webhook.policy
    return {
        "id": webhook.id,
        "account": webhook.account,
        "app": webhook.app,
        "event": webhook.event,
        "uri": webhook.uri,
        "algorithm": policy.algorithm if policy else None,
        "disabled": webhook.disabled,
        "verified": webhook.verified,
        "verified_at": webhook.verified_at,
        "failures": webhook.failures,
        "last_error": webhook.last_error,
    }


def _action(action: Action) -> dict[str, Any]:
    return {
        "platform": action.platform,
        "app": action.app,
        "account": action.account,
        "action": action.name,
        "events": [message.event for message in action.messages],
    }
