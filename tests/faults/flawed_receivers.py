"""Receivers with a flaw planted in them: `python flawed_receivers.py FLAW receiver …`.

Each is wrong in one way in which receivers are wrong; the suite has to find it. Nothing else may
run these.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jwt
from msgspec.structs import replace

from innkeeper import spool
from innkeeper.lifecycle.errors import Reason, Rejected
from innkeeper.lifecycle.events import SigningPolicy
from innkeeper.platforms import jws
from innkeeper.platforms.xurrent import inbound
from innkeeper.store.entry import delivery_id, raw_id
from innkeeper.store.keys import keys_of
from innkeeper.store.log import CLAIM_PERIOD_SECONDS, Appended
from innkeeper.store.partitions import partition_of
from innkeeper_console.cli import main
from innkeeper_receiver.appending import Appender
from innkeeper_receiver.spooling import Spooling

DIES_AT = 3
"""The delivery between whose claims and whose entry it dies."""


def claims_come_first() -> None:
    """It looks up the claims, writes them, and then the entry; once it dies in between."""
    append, left = Appender.append, DIES_AT

    async def flawed(self: Any, entry: Any) -> Appended:
        nonlocal left
        partition = partition_of(entry.instance)
        name = f"{keys_of(partition).claims}{int(time.time()) // CLAIM_PERIOD_SECONDS}"
        held = await self._store.command("HMGET", name, *entry.claims)
        if first := next(filter(None, held), None):
            return Appended(delivery_id(partition, first), True)
        pairs = [part for claim in entry.claims for part in (claim, raw_id(entry.delivery))]
        await self._store.command("HSET", name, *pairs)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return await append(self, replace(entry, claims=()))

    _plant(Appender, "append", flawed)


def keeps_nothing() -> None:
    """It says yes though the store takes nothing."""

    async def flawed(self: Any, waiting: Sequence[Any], why: Exception) -> None:
        self._tell(waiting, [Appended(one.entry.delivery, False) for one in waiting])

    _plant(Appender, "_spool", flawed)


def spools_without_claims() -> None:
    """What is in its spool already is put in once more, as if it were new."""
    _plant(spool, "_claims_of", lambda entry: [])


def drops_first() -> None:
    """It takes out of the spool what it is about to append, and dies."""

    async def flawed(self: Any, held: Sequence[Any], refused: set[int]) -> list[Any]:
        await self._in_thread(partial(self._opened().drop, held))
        os.kill(os.getpid(), signal.SIGKILL)
        return []

    _plant(Spooling, "_append", flawed)


def overtakes_the_spool() -> None:
    """It appends what comes, whatever its spool still holds; that it leaves to others."""
    _plant(Spooling, "in_use", lambda self: False)


def lets_customers_say_anything() -> None:
    """A customer's key may sign whatever its provider's may."""
    said = inbound.MAY_SAY
    _plant(inbound, "MAY_SAY", {signer: frozenset().union(*said.values()) for signer in said})


def takes_the_tokens_algorithm() -> None:
    """It verifies as the token says, with the bytes of the policy's key."""

    def flawed(token: jws.Token, policies: Sequence[SigningPolicy]) -> SigningPolicy:
        algorithm = jwt.get_algorithm_by_name(token.header.alg)
        for policy in policies:
            key: Any = policy.public_key.encode()
            if not token.header.alg.startswith("HS"):
                key = algorithm.prepare_key(key)
            if algorithm.verify(token.signing_input, key, token.signature):
                return policy
        raise Rejected(Reason.BAD_SIGNATURE, "not signed with the policy's key")

    _plant(jws, "verify", flawed)


FLAWS: dict[str, Callable[[], None]] = {
    flaw.__name__: flaw
    for flaw in (
        claims_come_first, keeps_nothing, spools_without_claims, drops_first, overtakes_the_spool,
        lets_customers_say_anything, takes_the_tokens_algorithm,
    )
}  # fmt: skip


def _plant(owner: Any, name: str, flawed: Any) -> None:
    setattr(owner, name, flawed)


if __name__ == "__main__":
    FLAWS[sys.argv.pop(1)]()
    main()
