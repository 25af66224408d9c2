"""Deliveries of all kinds, sound ones altered, and what has to hold of any that is admitted."""

from __future__ import annotations

import json
import time
from typing import Any

from hypothesis import strategies as st

from innkeeper.lifecycle.events import Event, EventKind, Mark
from innkeeper.platforms.admission import Admitted, Request
from innkeeper.secrets import KeyRing
from innkeeper.store.entry import FIELDS, Captured, NewEntry, new_delivery_id, read_entry
from innkeeper.store.partitions import partition_of
from tests.deliveries import (
    APP,
    CUSTOMER,
    PROVIDER,
    lifecycle,
    policy_block,
    rebilly,
    secrets_update,
    told,
)
from tests.fuzz.words import altered, header_texts, headers, objects, values, written

RING = KeyRing([bytes(range(32))])
SECRETS: dict[str, Any] = {
    "application": {"client_id": "i", "client_secret": "s"},
    "secrets": {"pin": 1},
}
SOUND_DATA = (
    lifecycle(),
    lifecycle("app_instance.create", suspension_comment="dry", custom_fields=[{"id": "a"}]),
    lifecycle("integration_instance.delete", object_nodeID="n"),
    secrets_update(**SECRETS, policy=policy_block(CUSTOMER)),
    told("webhook.verify", {"callback": "https://harbour.xurrent.com/webhooks/7/verify?code=c"}),
    told("automation_rule", {"tide": "high"}),
    told("automation_rule", {"tide": "high"}, account=CUSTOMER),
    told("person.create", {"id": 7}),
)
data = st.one_of(st.sampled_from(SOUND_DATA).flatmap(altered), objects, values)
"""What stands in the `data` of a Xurrent token."""
SOUND_REBILLY = tuple(
    json.loads(rebilly(event, at="2026-01-01T10:00:00Z")) for event in ("enabled", "disabled")
)
bodies = st.one_of(
    st.sampled_from(SOUND_REBILLY).flatmap(altered).map(written),
    values.map(written),
    st.binary(),
)
queries = st.one_of(
    st.just(""),
    st.sampled_from(
        [f"account={CUSTOMER}", f"customer_account_id={PROVIDER}", "account=../x", "account=",
         "event=enabled", "event=disabled&event=enabled", f"account={CUSTOMER}&account=x",
         "account=%00", "account=%ff%fe", "&".join(["a=1"] * 100)]
    ),
    header_texts,
)  # fmt: skip


@st.composite
def requests(draw: st.DrawFn, platform: str, body: st.SearchStrategy[bytes]) -> Request:
    """Any request to a hook."""
    return Request(
        platform=platform,
        app=draw(st.sampled_from([APP, "desk"])),
        query=draw(queries),
        headers=tuple(draw(headers)),
        body=draw(body),
    )


def entry_of(admitted: Admitted, request: Request) -> NewEntry:
    """The entry that the receiver makes of a delivery."""
    now = time.time()
    return NewEntry(
        delivery=new_delivery_id(admitted.instance, now=now),
        instance=admitted.instance,
        at=now,
        event=admitted.event,
        mark=admitted.mark,
        signer=admitted.signer,
        claims=admitted.claims,
        expires_at=admitted.expires_at,
        captured=Captured(app=request.app, query=request.query, headers=request.headers,
                          body=request.body),
    )  # fmt: skip


def event_read_back(entry: NewEntry) -> Event:
    """The event of an entry, after the way into the store and out of it; the fields agree."""
    own, _, count, *rest = entry.arguments(RING)
    fields = rest[count : count + 2 * len(FIELDS)]
    stored = [_bytes(value) for value in fields[1::2]]
    partition = partition_of(entry.instance)
    read = read_entry(partition, b"1-0", stored, sealed=rest[-2])
    assert stored[0] == own
    assert (read.delivery, read.instance, read.mark) == (entry.delivery, entry.instance, entry.mark)
    assert (read.order, read.signer, read.hint) == (
        entry.event.order, entry.signer, entry.event.hint,
    )  # fmt: skip
    return read.event(RING)


def is_sound(admitted: Admitted, platform: str) -> bool:
    """Whether what was admitted may be stored: its instance, its claims, its mark."""
    applied = admitted.mark is None and not admitted.instance.is_pseudo
    return (
        admitted.instance.platform == platform
        and all(len(each) == 12 for each in admitted.claims)
        and (not applied or admitted.event.kind is not EventKind.OTHER)
        and (admitted.mark is not Mark.UNDECODABLE or admitted.event.notes != ())
    )


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
