"""Xurrent's `/webhooks` and `/webhook_policies`: what `connect` registers; test deliveries."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from simulator.keys import ALGORITHMS
from simulator.run import Run
from simulator.sending.xurrent_webhook import Webhook
from simulator.serving.lists import Listing, answer
from simulator.serving.problems import Problem, body_of
from simulator.serving.xurrent_access import signed_in
from simulator.settings import DOMAIN
from simulator.signing import SigningPolicy
from simulator.world.clock import node_id, xurrent_time
from simulator.world.messages import Message

_TIMES = frozenset({"id", "created_at", "updated_at"})
_WEBHOOKS = Listing(
    defaults=(
        "id",
        "nodeID",
        "name",
        "event",
        "uri",
        "disabled",
        "webhook_policy",
        "last_error",
        "created_at",
        "updated_at",
    ),
    filters=_TIMES | {"disabled", "event", "uri", "name"},
    sorts=_TIMES,
    sort="id",
)
_POLICIES = Listing(
    defaults=("id", "nodeID", "name", "jwt_alg", "jwt_audience", "jwt_claim_expires_in"),
    filters=_TIMES | {"name"},
    sorts=_TIMES,
    sort="id",
)
_TEST_OBJECT = 12345


class Administration:
    """An account's webhooks and policies."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._policies = {policy.id: policy for policy in run.world.policies.values()}

    async def webhooks(self, request: Request) -> Response:
        """GET all of the account, or POST a new one."""
        account = signed_in(self._run, request)
        if request.method == "GET":
            mine = [one for one in self._run.hooks.webhooks.values() if one.account == account]
            rows = [self._webhook(webhook) for webhook in mine]
            return answer(request, rows, _WEBHOOKS, self._run.troubles)
        said = await body_of(request)
        faults = [f"{name} can't be blank" for name in ("event", "uri") if not said.get(name)]
        policy = self._stated_policy(said, faults)
        if faults:
            raise Problem(422, {"message": "; ".join(faults), "errors": faults})
        made = self._run.hooks.webhook(account, said["event"], said["uri"], policy)
        made.name = said.get("name") or said["event"]
        made.disabled = bool(said.get("disabled", False))
        self._begin(made)
        return JSONResponse(self._webhook(made), 201)

    async def webhook(self, request: Request) -> Response:
        """GET, PATCH or DELETE one."""
        found = self._found(request)
        if request.method == "DELETE":
            del self._run.hooks.webhooks[found.id]
            return Response(status_code=204)
        if request.method == "PATCH":
            self._change(found, await body_of(request))
        return JSONResponse(self._webhook(found))

    async def test(self, request: Request) -> Response:
        """POST: a delivery about an object that is none."""
        found = self._found(request)
        message = Message(
            platform="xurrent",
            app=found.app or found.name,
            account=found.account,
            event=found.event,
            sender=found.account,
            object_id=_TEST_OBJECT,
            payload={"test": True},
            old=found.old,
            webhook=found.id,
        )
        self._run.tell_soon(message)
        return Response(status_code=204)

    async def policies(self, request: Request) -> Response:
        """GET all, or POST a new one, whose public key is shown this once."""
        account = signed_in(self._run, request)
        if request.method == "GET":
            rows = [self._policy(policy) for policy in self._policies.values()]
            return answer(request, rows, _POLICIES, self._run.troubles)
        said = await body_of(request)
        algorithm = said.get("jwt_alg", "rs256")
        if algorithm not in ALGORITHMS:
            fault = "jwt_alg is not included in the list"
            raise Problem(422, {"message": fault, "errors": [fault]})
        number = max(self._policies, default=0) + 1
        made = SigningPolicy(
            id=number,
            name=said.get("name") or f"Policy {number}",
            algorithm=algorithm,
            key=self._run.world.keys.make(algorithm, f"registered:{number}"),
            issuer=self._run.settings.tls_base or f"https://{account}.{DOMAIN}",
            audience=said.get("jwt_audience"),
            expires_in_seconds=_minutes(said.get("jwt_claim_expires_in")),
        )
        self._policies[number] = made
        shown = {"public_key_pem": made.public_pem, "public_key": made.public_pem}
        return JSONResponse(self._policy(made) | shown, 201)

    async def policy(self, request: Request) -> Response:
        """GET or DELETE one; its key is shown no more."""
        signed_in(self._run, request)
        found = self._policies.get(request.path_params["id"])
        if found is None:
            raise Problem(404, {"message": "Not found"})
        if request.method == "DELETE":
            del self._policies[found.id]
            return Response(status_code=204)
        return JSONResponse(self._policy(found))

    def _found(self, request: Request) -> Webhook:
        account = signed_in(self._run, request)
        found = self._run.hooks.webhooks.get(request.path_params["id"])
        if found is None or found.account != account:
            raise Problem(404, {"message": "Not found"})
        return found

    def _change(self, webhook: Webhook, said: dict[str, Any]) -> None:
        faults: list[str] = []
        policy = self._stated_policy(said, faults)
        if faults:
            raise Problem(422, {"message": "; ".join(faults), "errors": faults})
        webhook.policy = policy or webhook.policy
        webhook.name, webhook.event = (
            said.get("name", webhook.name),
            said.get("event", webhook.event),
        )
        if said.get("disabled") is False:
            webhook.switch_on()
        webhook.disabled = bool(said.get("disabled", webhook.disabled))
        webhook.updated_at = self._run.world.clock.tick()
        if said.get("uri", webhook.uri) != webhook.uri:
            webhook.uri = said["uri"]
            self._begin(webhook)

    def _begin(self, webhook: Webhook) -> None:
        """Ask the receiver to call back, unless the account has verified this URI before."""
        others = [one for one in self._run.hooks.webhooks.values() if one is not webhook]
        webhook.verified = any(
            one.verified and (one.account, one.uri) == (webhook.account, webhook.uri)
            for one in others
        )
        if not webhook.verified:
            self._run.tell_soon(self._run.hooks.handshake(webhook))

    def _stated_policy(self, said: dict[str, Any], faults: list[str]) -> SigningPolicy | None:
        block = said.get("webhook_policy")
        number = block.get("id") if isinstance(block, dict) else said.get("webhook_policy_id")
        if number is None:
            return None
        found = self._policies.get(number) if isinstance(number, int) else None
        if found is None:
            faults.append("webhook_policy does not exist")
        return found

    def _webhook(self, webhook: Webhook) -> dict[str, Any]:
        policy = webhook.policy
        return {
            "id": webhook.id,
            "nodeID": node_id(DOMAIN, "Webhook", webhook.id),
            "name": webhook.name,
            "event": webhook.event,
            "uri": webhook.uri,
            "disabled": webhook.disabled,
            "verified": webhook.verified,
            "webhook_policy": {"id": policy.id, "name": policy.name} if policy else None,
            "last_error": webhook.last_error,
            "created_at": xurrent_time(webhook.created_at),
            "updated_at": xurrent_time(webhook.updated_at),
        }

    def _policy(self, policy: SigningPolicy) -> dict[str, Any]:
        expires = policy.expires_in_seconds
        return {
            "id": policy.id,
            "nodeID": node_id(DOMAIN, "WebhookPolicy", policy.id),
            "name": policy.name,
            "disabled": False,
            "jwt_alg": policy.algorithm,
            "jwt_audience": policy.audience,
            "jwt_claim_expires_in": None if expires is None else expires // 60,
            "created_at": xurrent_time(self._run.world.clock.now),
            "updated_at": xurrent_time(self._run.world.clock.now),
        }


def _minutes(said: Any) -> int | None:
    return said * 60 if isinstance(said, int) and said > 0 else None
