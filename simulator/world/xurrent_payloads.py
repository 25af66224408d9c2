"""The blocks of which Xurrent's payloads consist, in either vocabulary."""

from __future__ import annotations

from typing import Any

from simulator.settings import DOMAIN
from simulator.world.clock import node_id
from simulator.world.customers import Customer
from simulator.world.offerings import Offering


def lifecycle_payload(
    offering: Offering, customer: Customer, audit: int, updated: bool
) -> dict[str, Any]:
    """What every payload about an instance starts with."""
    return {
        "audit_line_id": audit,
        "audit_line_nodeID": node_id(DOMAIN, "AuditLine", audit),
        "integration" if offering.old else "app_offering": offering_block(offering, updated),
        "customer_account_id": customer.account,
    }


def offering_block(offering: Offering, updated: bool) -> dict[str, Any]:
    """The offering; `updated`: the instance was brought to its newest version."""
    block = {
        "reference": offering.reference,
        "id": offering.id,
        "nodeID": node_id(DOMAIN, "AppOffering", offering.id),
    }
    return block | ({"updated": True} if updated else {})


def representative_block(customer: Customer, name: str) -> dict[str, Any]:
    """The customer's contact person."""
    number = 500 + customer.number
    return {
        "id": number,
        "disabled": False,
        "name": name,
        "account": {"id": customer.account, "name": customer.name},
        "sourceID": None,
        "nodeID": node_id(DOMAIN, "Person", number),
    }
