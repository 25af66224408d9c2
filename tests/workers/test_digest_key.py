"""Apply without the key of secrets' digests: the partition waits, and nothing is a dead letter."""

from __future__ import annotations

from innkeeper.secrets import KeyRing
from innkeeper.store.digests import DIGEST_KEY_PLACE, Digests
from innkeeper.store.keys import DIGEST_KEY
from innkeeper_workers.apply import TRIES, Applying
from tests.lifecycle.telling import KEY, brings, states
from tests.store.making import NOW
from tests.workers.conftest import PARTITION, Inn


def test_a_digest_key_that_cannot_be_opened_is_a_plague(inn: Inn):
    """Secrets wait for it however often they are tried; what needs no digest is applied before."""
    lost = KeyRing([b"l" * 32])
    Digests(inn.desk.store, lost).of(KEY)("a", "x")
    held = inn.desk.store.command("GET", DIGEST_KEY)
    first, second = inn.deliver(states(1)), inn.deliver(brings(2, {"a": "x"}))
    for _ in range(TRIES + 1):
        Applying(inn.desk).apply(PARTITION, inn.desk.troubles.all().get(PARTITION))
    assert [inn.desk.log.outcome(one) for one in (first, second)] == ["applied", ""]
    assert "not in the ring" in inn.desk.troubles.all()[PARTITION].stopped
    assert inn.desk.dead_letters.count() == 0
    key = lost.open(*DIGEST_KEY_PLACE, held)
    sealed = inn.desk.ring.seal(*DIGEST_KEY_PLACE, key, now=NOW)
    inn.desk.store.command("SET", DIGEST_KEY, sealed)
    Applying(inn.desk).apply(PARTITION)
    assert inn.desk.log.outcome(second) == "applied"
    line = inn.desk.register.line(KEY)
    assert line is not None
    assert inn.desk.register.secrets(line.instance) == {"a": "x"}
