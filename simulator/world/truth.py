"""What the register has to say in the end: every instance, in the words of Innkeeper's register."""

from __future__ import annotations

from typing import Any

from simulator.world import rebilly
from simulator.world.offerings import of_platform
from simulator.world.world import World
from simulator.world.xandr import Installation
from simulator.world.xurrent_instance import Instance


def truth(world: World, *, with_secrets: bool = False) -> dict[str, dict[str, Any]]:
    """Every instance that there is or was, by `platform/app/account`. Plain JSON.

    A flag that a marketplace does not have is null. `agreed`: the customer's yes was given once in
    this installation, which nobody can read from the lists. `secrets`: of Xurrent's, as last told.
    """
    found = {
        f"xurrent/{app}/{account}": _xurrent(instance, with_secrets)
        for (app, account), instance in world.xurrent.instances.items()
    }
    for (app, account), merchant in world.rebilly.instances.items():
        found[f"rebilly/{app}/{account}"] = _rebilly(merchant, world.settings.keeps_disabled)
    names = {offering.reference: offering.name for offering in of_platform("xandr")}
    for (plugin, account), installation in world.xandr.installations.items():
        if plugin in names:
            found[f"xandr/{names[plugin]}/{account}"] = _xandr(installation)
    return dict(sorted(found.items()))


def _xurrent(instance: Instance, with_secrets: bool) -> dict[str, Any]:
    known = {
        "status": instance.status,
        "disabled": instance.disabled,
        "suspended": instance.suspended,
        "enabled_by_customer": instance.enabled_by_customer,
        "suspension_comment": instance.suspension_comment,
        "marketplace_id": str(instance.id),
        "customer_name": instance.customer.name,
        "agreed": instance.agreed,
        "app_events": instance.app_events,
        "secrets": sorted(instance.secrets),
    }
    return known | ({"secrets": dict(instance.secrets)} if with_secrets else {})


def _rebilly(instance: rebilly.Instance, keeps_disabled: bool) -> dict[str, Any]:
    disabled = instance.status == "disabled"
    return {
        "status": "removed" if disabled and not keeps_disabled else instance.status,
        "disabled": disabled,
        "suspended": None,
        "enabled_by_customer": None,
    }


def _xandr(installation: Installation) -> dict[str, Any]:
    return {
        "status": installation.status,
        "disabled": None,
        "suspended": None,
        "enabled_by_customer": installation.accepted,
        "marketplace_id": str(installation.id),
        "agreed": installation.agreed,
    }
