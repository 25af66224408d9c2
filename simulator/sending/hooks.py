"""All hooks of a run: the provider's, the customers' own, Rebilly's subscriptions.

Called by the run when it starts and by the REST APIs when somebody registers one.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

from simulator.sending.rebilly_subscription import Subscription
from simulator.sending.requests import Hook
from simulator.sending.xurrent_webhook import HANDSHAKE, Webhook
from simulator.settings import ACCOUNT, Settings
from simulator.signing import SigningPolicy
from simulator.world.messages import Message
from simulator.world.offerings import of_platform
from simulator.world.tokens import Tokens
from simulator.world.world import World

LIFECYCLE = (
    "app_instance.create",
    "app_instance.update",
    "app_instance.delete",
    "app_instance.secrets-update",
)


class Hooks:
    """Webhooks by id, and subscriptions."""

    def __init__(self, world: World, tokens: Tokens, rng: random.Random) -> None:
        self.webhooks: dict[int, Webhook] = {}
        self.subscriptions: list[Subscription] = []
        self._world, self._settings = world, world.settings
        self._tokens, self._rng = tokens, rng
        self._numbers = itertools.count(1)
        if self._settings.connected:
            self._connect(self._settings)

    def wanting(self, message: Message) -> list[Hook]:
        """All that are there for such messages, switched on or not."""
        everyone: list[Hook] = [*self.webhooks.values(), *self.subscriptions]
        return [hook for hook in everyone if hook.wants(message)]

    def elsewhere(self, message: Message) -> list[Hook]:
        """The provider's webhooks of other apps: each may be told of any app of its."""
        return [
            hook
            for hook in self.webhooks.values()
            if hook.event == message.event
            and hook.account == message.sender == ACCOUNT
            and hook.app not in (None, message.app)
        ]

    def webhook(
        self, account: str, event: str, uri: str, policy: SigningPolicy | None, **details: object
    ) -> Webhook:
        """Register a webhook."""
        number, now = next(self._numbers), self._world.clock.now
        made = Webhook(
            id=number,
            account=account,
            event=event,
            uri=uri,
            name=event,
            policy=policy,
            created_at=now,
            updated_at=now,
            switch_off_after=self._settings.pace.switch_off_after,
        )
        for name, value in details.items():
            setattr(made, name, value)
        self.webhooks[number] = made
        return made

    def subscribe(
        self, url: str, credential: tuple[str, str], events: tuple[str, ...]
    ) -> Subscription:
        """Register one of Rebilly's webhooks."""
        made = Subscription(
            next(self._numbers),
            url,
            self._tokens,
            self._rng,
            credential=credential,
            events=events,
        )
        self.subscriptions.append(made)
        return made

    def follow(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """The messages, with the customers' webhooks brought up to what the world says of them.

        An installation makes the customer's webhook, a new key becomes its policy, a handshake is
        that webhook's alone.
        """
        return tuple(self._followed(message) for message in messages)

    def handshake(self, webhook: Webhook) -> Message:
        """What asks a webhook's receiver to call back."""
        return Message(
            platform="xurrent",
            app=webhook.app or webhook.name,
            account=webhook.account,
            event=HANDSHAKE,
            sender=webhook.account,
            payload={},
            old=webhook.old,
            webhook=webhook.id,
        )

    def _followed(self, message: Message) -> Message:
        instance = self._world.xurrent.instances.get((message.app, message.account))
        if message.platform != "xurrent" or instance is None:
            return message
        own = self._customers(message.app, message.account)
        if own is not None and message.event == "app_instance.create":
            del self.webhooks[own.id]
            own = None
        if own is None:
            uri = f"{self._settings.receiver}/hooks/xurrent/{message.app}?account={message.account}"
            own = self.webhook(message.account, "automation_rule", uri, instance.policy)
            own.app, own.old = message.app, message.old
        own.policy = instance.policy
        if message.event == HANDSHAKE:
            return self.handshake(own)
        return message

    def _customers(self, app: str, account: str) -> Webhook | None:
        mine = (found for found in self.webhooks.values() if found.account == account)
        return next((found for found in mine if found.app == app), None)

    def _connect(self, settings: Settings) -> None:
        for offering in of_platform("xurrent"):
            uri = f"{settings.receiver}/hooks/xurrent/{offering.name}"
            policy = self._world.policies[offering.name]
            for event in LIFECYCLE:
                self.webhook(ACCOUNT, event, uri, policy, app=offering.name, old=offering.old)
        subscription = Subscription(
            next(self._numbers),
            f"{settings.receiver}/hooks/rebilly",
            self._tokens,
            self._rng,
            by_name=True,
            small=settings.rates.small,
        )
        self.subscriptions.append(subscription)
