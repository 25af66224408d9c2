"""Xurrent's side of the world: app instances, what is done to them, and what is said of it.

Pure but for its own state. Called by the world's actions and by the REST API's PATCH.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from simulator.keys import ALGORITHMS, KeyMaker
from simulator.settings import ACCOUNT, DOMAIN
from simulator.signing import SigningPolicy
from simulator.world.clock import Clock, node_id
from simulator.world.customers import Customer
from simulator.world.messages import Message
from simulator.world.offerings import Offering
from simulator.world.xurrent_instance import Instance
from simulator.world.xurrent_payloads import lifecycle_payload, representative_block

WEIGHTS = {
    "install": 6,
    "reinstall": 4,
    "enable": 6,
    "disable": 3,
    "suspend": 3,
    "resume": 5,
    "update": 2,
    "secrets_update": 3,
    "app_event": 3,
    "remove": 1,
}
_LETTERS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNP23456789"


class XurrentMarket:
    """All app instances of the provider's offerings."""

    def __init__(
        self, clock: Clock, rng: random.Random, keys: KeyMaker, tls_base: str | None
    ) -> None:
        self.instances: dict[tuple[str, str], Instance] = {}
        self._clock, self._rng, self._keys = clock, rng, keys
        self._tls_base = tls_base
        self._last_id, self._audit, self._policies = 100, 48_000, 1_000
        self._actions: dict[str, Callable[[Instance], Iterator[Message]]] = {
            "enable": self._enable,
            "disable": self._disable,
            "suspend": self._suspend,
            "resume": self._resume,
            "update": self._update,
            "secrets_update": self._secrets_update,
            "app_event": self._app_event,
            "remove": self._remove,
        }

    def find(self, object_id: int) -> Instance | None:
        """The instance that is there under this id."""
        alive = (found for found in self.instances.values() if found.present)
        return next((found for found in alive if found.id == object_id), None)

    def possible(self, offering: Offering, customer: Customer) -> list[str]:
        """What may happen next to a customer's instance."""
        found = self.instances.get((offering.name, customer.account))
        if found is None:
            return ["install"]
        if not found.present:
            return ["reinstall"]
        operates = found.enabled_by_customer and not found.disabled
        names = ["disable" if operates else "enable", "resume" if found.suspended else "suspend"]
        if operates and not found.suspended:
            names.append("app_event")
        return [*names, "update", "secrets_update", "remove"]

    def perform(self, name: str, offering: Offering, customer: Customer) -> tuple[Message, ...]:
        """Do it. ValueError where it cannot happen now."""
        if name not in self.possible(offering, customer):
            raise ValueError(f"{name} cannot happen to {offering.name} of {customer.account} now")
        if name in ("install", "reinstall"):
            return tuple(self._install(offering, customer))
        return tuple(self._actions[name](self.instances[offering.name, customer.account]))

    def change(self, instance: Instance, **values: Any) -> Message:
        """Set attributes as one change; says the update."""
        for name, value in values.items():
            setattr(instance, name, value)
        instance.agreed = instance.agreed or instance.enabled_by_customer
        instance.updated_at = self._clock.tick()
        return self._say(instance, "app_instance.update", self._lifecycle(instance))

    def _install(self, offering: Offering, customer: Customer) -> Iterator[Message]:
        self._last_id += self._rng.randint(1, 9)
        now = self._clock.tick()
        agreed = self._rng.random() < 0.6
        instance = Instance(
            id=self._last_id,
            offering=offering,
            customer=customer,
            created_at=now,
            updated_at=now,
            policy=self._new_policy(offering, customer),
            representative=customer.representative,
            enabled_by_customer=agreed,
            agreed=agreed,
            custom_fields=[{"id": "colour", "value": self._rng.choice(["red", "green", "blue"])}],
        )
        self.instances[offering.name, customer.account] = instance
        yield self._say(instance, "app_instance.create", self._lifecycle(instance, updated=True))
        parts = (self._application(instance), self._policy(instance), self._own_secrets(instance))
        # One change may be told in several deliveries, each with other parts.
        audit = self._next_audit()
        for part in parts:
            yield self._secrets_message(instance, audit, part)
        if self._tls_base is not None and instance.policy.states_issuer:
            yield self._say(instance, "webhook.verify", {}, customers=True)

    def _enable(self, instance: Instance) -> Iterator[Message]:
        yield self.change(instance, enabled_by_customer=True, disabled=False)

    def _disable(self, instance: Instance) -> Iterator[Message]:
        by_provider = self._rng.random() < 0.5
        said = {"disabled": True} if by_provider else {"enabled_by_customer": False}
        yield self.change(instance, **said)

    def _suspend(self, instance: Instance) -> Iterator[Message]:
        why = self._rng.choice(["Invoice overdue", "Maintenance", "On request"])
        yield self.change(instance, suspended=True, suspension_comment=why)

    def _resume(self, instance: Instance) -> Iterator[Message]:
        yield self.change(instance, suspended=False, suspension_comment=None)

    def _update(self, instance: Instance) -> Iterator[Message]:
        yield self.change(instance, representative=f"Person {self._rng.randint(1, 10_000)}")

    def _secrets_update(self, instance: Instance) -> Iterator[Message]:
        self._clock.tick()
        part = self._rng.choice([self._application, self._new_key, self._own_secrets])
        yield self._secrets_message(instance, self._next_audit(), part(instance))

    def _app_event(self, instance: Instance) -> Iterator[Message]:
        self._clock.tick()
        instance.app_events += 1
        note = f"Note {instance.app_events} of {instance.customer.name}"
        payload = {"number": instance.app_events, "note": note}
        yield self._say(instance, "automation_rule", payload, customers=True)

    def _remove(self, instance: Instance) -> Iterator[Message]:
        self._clock.tick()
        instance.present = False
        # No source settles what a delete's payload holds: with the flags, or without.
        payload = self._lifecycle(instance)
        if self._rng.random() < 0.5:
            for name in ("disabled", "enabled_by_customer", "suspended", "customer_representative"):
                del payload[name]
        yield self._say(instance, "app_instance.delete", payload)

    def _new_key(self, instance: Instance) -> dict[str, Any]:
        instance.policy = self._new_policy(instance.offering, instance.customer)
        return self._policy(instance)

    def _application(self, instance: Instance) -> dict[str, Any]:
        block = {"client_id": self._token(48), "client_secret": self._token(64)}
        instance.secrets |= {f"application.{name}": value for name, value in block.items()}
        return {"application": {"nodeID": node_id(DOMAIN, "OauthApplication", 7), **block}}

    def _own_secrets(self, instance: Instance) -> dict[str, Any]:
        block = {"password": self._token(24)}
        instance.secrets |= {f"secrets.{name}": value for name, value in block.items()}
        return {"secrets": block}

    def _policy(self, instance: Instance) -> dict[str, Any]:
        policy = instance.policy
        block = {
            "nodeID": node_id(DOMAIN, "WebhookPolicy", policy.id),
            "audience": policy.audience,
            "algorithm": policy.algorithm.upper(),
            "public_key": policy.public_pem,
        }
        return {"policy": block | ({"issuer": policy.issuer} if policy.states_issuer else {})}

    def _new_policy(self, offering: Offering, customer: Customer) -> SigningPolicy:
        self._policies += 1
        algorithm = ALGORITHMS[customer.number % len(ALGORITHMS)]
        custom = customer.number % 2 == 0
        issuer = f"https://{customer.account}.{DOMAIN}"
        if custom:
            issuer = self._tls_base or f"https://desk.{customer.account}.example"
        return SigningPolicy(
            id=self._policies,
            name=f"{offering.name}-{self._policies}",
            algorithm=algorithm,
            key=self._keys.make(algorithm, f"customer:{self._policies}"),
            issuer=issuer,
            audience=f"{offering.reference}@{DOMAIN}" if customer.number % 3 == 0 else None,
            states_issuer=custom,
        )

    def _lifecycle(self, instance: Instance, *, updated: bool = False) -> dict[str, Any]:
        flags = {
            "disabled": instance.disabled,
            "enabled_by_customer": instance.enabled_by_customer,
            "suspended": instance.suspended,
        }
        person = representative_block(instance.customer, instance.representative)
        head = lifecycle_payload(instance.offering, instance.customer, self._next_audit(), updated)
        return {**head, **flags, "customer_representative": person}

    def _secrets_message(self, instance: Instance, audit: int, part: dict[str, Any]) -> Message:
        head = lifecycle_payload(instance.offering, instance.customer, audit, updated=False)
        return self._say(instance, "app_instance.secrets-update", {**head, **part})

    def _say(
        self, instance: Instance, event: str, payload: dict[str, Any], *, customers: bool = False
    ) -> Message:
        return Message(
            platform="xurrent",
            app=instance.offering.name,
            account=instance.customer.account,
            event=event,
            sender=instance.customer.account if customers else ACCOUNT,
            object_id=instance.id,
            payload=payload,
            old=instance.offering.old,
        )

    def _next_audit(self) -> int:
        self._audit += self._rng.randint(1, 5)
        return self._audit

    def _token(self, length: int) -> str:
        return "".join(self._rng.choices(_LETTERS, k=length))
