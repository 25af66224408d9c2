"""Xurrent's `/app_offerings`: list, one, create, update, within the limits of their fields."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from simulator.keys import ALGORITHMS
from simulator.run import Run
from simulator.serving.lists import Listing, answer
from simulator.serving.problems import Problem, body_of
from simulator.serving.xurrent_access import provider
from simulator.settings import DOMAIN
from simulator.world.clock import node_id, xurrent_time
from simulator.world.offerings import of_platform

_TEXT = 64 * 1024
_LIMITS = {
    "card_description": 255,
    "configuration_uri_template": 255,
    "compliance": _TEXT,
    "description": _TEXT,
    "features": _TEXT,
    "name": 128,
    "picture_uri": _TEXT,
    "policy_jwt_audience": 2048,
    "reference": 161,
    "source": 30,
    "sourceID": 128,
    "webhook_uri_template": 255,
}
_SWITCHES = ("disabled", "requires_enabled_oauth_person")
_OTHERS = (
    "compliance_attachments",
    "description_attachments",
    "features_attachments",
    "policy_jwt_alg",
    "policy_jwt_claim_expires_in",
    "service_instance",
    "service_instance_id",
    "ui_extension_version",
    "ui_extension_version_id",
)
_REQUIRED = ("name", "policy_jwt_alg", "service_instance", "webhook_uri_template")
_LISTING = Listing(
    defaults=(
        "created_at",
        "id",
        "name",
        "nodeID",
        "policy_jwt_alg",
        "policy_jwt_audience",
        "policy_jwt_claim_expires_in",
        "reference",
        "service_instance",
        "sourceID",
        "updated_at",
        "webhook_uri_template",
    ),
    filters=frozenset(
        {"id", "source", "sourceID", "reference", "name", "created_at", "updated_at", "disabled"}
    ),
    sorts=frozenset({"id", "sourceID", "name", "created_at", "updated_at"}),
    sort="name",
)


class Offerings:
    """The provider's offerings, as its administrators see them."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._rows: dict[int, dict[str, Any]] = {}
        for offering in of_platform("xurrent"):
            policy = run.world.policies[offering.name]
            uri = f"{run.settings.receiver}/hooks/xurrent/{offering.name}?account={{account}}"
            self._add(
                {
                    "name": offering.title,
                    "reference": offering.reference,
                    "policy_jwt_alg": policy.algorithm,
                    "webhook_uri_template": uri,
                    "service_instance": {"id": 83, "name": offering.title},
                }
            )

    async def many(self, request: Request) -> Response:
        """GET all, or POST a new one."""
        provider(self._run, request)
        if request.method == "GET":
            return answer(request, list(self._rows.values()), _LISTING, self._run.troubles)
        said = _checked(await body_of(request), self._rows, None)
        named = str(said["name"]).lower().replace(" ", "_")
        return JSONResponse(self._add({"reference": f"wdc_{named}"} | said), 201)

    async def one(self, request: Request) -> Response:
        """GET or PATCH one by its id."""
        provider(self._run, request)
        row = self._rows.get(request.path_params["id"])
        if row is None:
            raise Problem(404, {"message": "Not found"})
        if request.method == "PATCH":
            row |= _checked(await body_of(request), self._rows, row)
            row["updated_at"] = xurrent_time(self._run.world.clock.tick())
        return JSONResponse(row)

    def _add(self, said: dict[str, Any]) -> dict[str, Any]:
        number = len(self._rows) + 1
        now = xurrent_time(self._run.world.clock.now)
        blank = dict.fromkeys((*_LIMITS, "policy_jwt_claim_expires_in", "ui_extension_version"))
        self._rows[number] = {
            **blank,
            "disabled": False,
            "requires_enabled_oauth_person": False,
            "attachments": [],
            **said,
            "id": number,
            "nodeID": node_id(DOMAIN, "AppOffering", number),
            "created_at": now,
            "updated_at": now,
        }
        return self._rows[number]


def _checked(
    said: dict[str, Any], rows: dict[int, dict[str, Any]], changed: dict[str, Any] | None
) -> dict[str, Any]:
    """What may be written. `changed`: None for a new one. Raises Problem with all faults."""
    if "service_instance_id" in said:
        said["service_instance"] = {"id": said.pop("service_instance_id")}
    known = {*_LIMITS, *_SWITCHES, *_OTHERS}
    faults = [f"{name} is not a writable field" for name in said if name not in known]
    required = [name for name in _REQUIRED if changed is None or name in said]
    faults += [f"{name} can't be blank" for name in required if said.get(name) in (None, "")]
    for name, limit in _LIMITS.items():
        value = said.get(name)
        if value is not None and not isinstance(value, str):
            faults.append(f"{name} is no text")
        elif value is not None and len(value) > limit:
            faults.append(f"{name} is too long (maximum is {limit} characters)")
    if said.get("policy_jwt_alg") not in (None, *ALGORITHMS):
        faults.append("policy_jwt_alg is not included in the list")
    faults += [
        f"{name} is neither true nor false"
        for name in _SWITCHES
        if not isinstance(said.get(name, False), bool)
    ]
    if said.get("reference") in {row["reference"] for row in rows.values() if row is not changed}:
        faults.append("reference has already been taken")
    if faults:
        raise Problem(422, {"message": "; ".join(faults), "errors": faults})
    return said
