"""Xurrent's `/app_instances`, and the same in the old vocabulary: `/integration_instances`."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from simulator.run import Run
from simulator.serving.lists import Listing, answer
from simulator.serving.problems import Problem, body_of
from simulator.serving.xurrent_access import provider
from simulator.settings import DOMAIN
from simulator.world.clock import node_id, xurrent_time
from simulator.world.xurrent_instance import Instance

_FLAGS = ("disabled", "enabled_by_customer", "suspended")
_WRITABLE = (*_FLAGS, "suspension_comment", "custom_fields", "customer_representative")
_MAX_COMMENT = 64 * 1024


def _listing(offering: str) -> Listing:
    return Listing(
        defaults=(
            "created_at",
            "id",
            "nodeID",
            "updated_at",
            "disabled",
            "customer_account",
            offering,
            "enabled_by_customer",
        ),
        filters=frozenset({"id", "created_at", "updated_at", "disabled"}),
        sorts=frozenset({"id", "created_at", "updated_at"}),
    )


async def many(run: Run, request: Request) -> Response:
    """GET all, or by the predefined filter `/enabled`, `/disabled`."""
    _check(run, request)
    wanted = request.path_params.get("predefined")
    rows = [
        _document(instance, _word(request))
        for instance in run.world.xurrent.instances.values()
        if instance.present and wanted in (None, _kind(instance))
    ]
    return answer(request, rows, _listing(_word(request)), run.troubles)


async def one(run: Run, request: Request) -> Response:
    """GET or PATCH one by its id."""
    _check(run, request)
    instance = run.world.xurrent.find(request.path_params["id"])
    if instance is None:
        raise Problem(404, {"message": "Not found"})
    if request.method == "PATCH":
        changes = _changes(await body_of(request))
        if changes:
            run.tell_soon(run.world.xurrent.change(instance, **changes))
    found: Any = _document(instance, _word(request))
    if run.troubles.strike("xurrent", "wrong_types"):
        found = [found]
    return JSONResponse(found)


def _check(run: Run, request: Request) -> None:
    """Only the provider, and on an old host only in the old vocabulary. Raises Problem."""
    provider(run, request)
    if _word(request) == "app_offering" and run.troubles.strike("xurrent", "old_words"):
        raise Problem(404, {"message": "Not found"})


def _changes(said: dict[str, Any]) -> dict[str, Any]:
    """Attributes to set. Raises Problem with all faults."""
    faults = [f"{name} is not a writable field" for name in said if name not in _WRITABLE]
    faults += [
        f"{name} is neither true nor false"
        for name in _FLAGS
        if name in said and not isinstance(said[name], bool)
    ]
    comment = said.get("suspension_comment")
    if comment is not None and (not isinstance(comment, str) or len(comment) > _MAX_COMMENT):
        faults.append("suspension_comment is no text of at most 64KB")
    if not isinstance(said.get("custom_fields", []), list):
        faults.append("custom_fields is no list")
    if faults:
        raise Problem(422, {"message": "; ".join(faults), "errors": faults})
    changes = {name: value for name, value in said.items() if name != "customer_representative"}
    if "customer_representative" in said:
        changes["representative"] = _person(said["customer_representative"])
    return changes


def _person(said: Any) -> str:
    return str(said.get("name", said.get("id"))) if isinstance(said, dict) else str(said)


def _word(request: Request) -> str:
    return "integration" if "/integration_instances" in request.url.path else "app_offering"


def _kind(instance: Instance) -> str:
    off = instance.disabled or instance.suspended or not instance.enabled_by_customer
    return "disabled" if off else "enabled"


def _document(instance: Instance, word: str) -> dict[str, Any]:
    number = 500 + instance.customer.number
    return {
        "id": instance.id,
        "nodeID": node_id(DOMAIN, "AppInstance", instance.id),
        word: {"reference": instance.offering.reference, "id": instance.offering.id},
        "customer_account": {"id": instance.customer.account, "name": instance.customer.name},
        "customer_representative": {"id": number, "name": instance.representative},
        "created_at": xurrent_time(instance.created_at),
        "updated_at": xurrent_time(instance.updated_at),
        "disabled": instance.disabled,
        "enabled_by_customer": instance.enabled_by_customer,
        "suspended": instance.suspended,
        "suspension_comment": instance.suspension_comment,
        "custom_fields": instance.custom_fields,
        "attachments": [],
        "webhook": {"id": 10_000 + instance.id},
        "webhook_policy": {"id": instance.policy.id},
    }
