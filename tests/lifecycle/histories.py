"""Histories as a marketplace can produce them: what happened to one instance, in its true order.

Installed, changed, removed and installed anew as another object; secrets and policies whenever the
app's credentials change, several deliveries to one audit line at times. Removals may go unheard,
and a marketplace may name no objects at all.
"""

from __future__ import annotations

from hypothesis import strategies as st
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from innkeeper.lifecycle.events import Event, Flags
from tests.lifecycle.telling import brings, removes, signing, states

_MOVES = ("state", "state", "secrets", "secrets", "share", "remove", "replace", "replace")
_NAMES = ("application.client_secret", "secrets.token")


@st.composite
def histories(draw: st.DrawFn, kind: str = "audit", longest: int = 5) -> list[Event]:
    """One to `longest` events, with keys of one kind that grow."""
    left_out = draw(st.sampled_from([None, None, None, "suspended", "enabled_by_customer"]))
    named = draw(st.sampled_from([True, True, False]))
    objects, living, line = iter("ABCDEFGH"), "", 100
    events: list[Event] = []
    for _ in range(draw(st.integers(1, longest))):
        move = draw(st.sampled_from(_MOVES))
        shares = move == "share" and bool(events) and bool(living)
        line += 0 if shares else draw(st.integers(1, 3))
        at = f"{kind}:{line}"
        if move == "replace" and named:
            living = ""
        if move in ("state", "replace") or (not living and move in ("remove", "share")):
            living = living or next(objects)
            events.append(states(at, draw(_flags(left_out)), living if named else None))
        elif move == "remove":
            events.append(removes(at, living if named else None))
            living = ""
        else:
            taken = _said_at(events, line)
            events.append(draw(_secrets(at, (living or "A") if named else None, taken)))
    return events


@st.composite
def _flags(draw: st.DrawFn, left_out: str | None) -> Flags:
    said: dict[str, bool | UnsetType] = {
        "disabled": draw(st.sampled_from([False, False, True])),
        "suspended": draw(st.sampled_from([False, False, True])),
        "enabled_by_customer": draw(st.booleans()),
    }
    if left_out:
        said[left_out] = UNSET
    return Flags(phase=None, **said)


@st.composite
def _secrets(draw: st.DrawFn, at: str, object_id: str | None, taken: frozenset[str]) -> Event:
    """Different parts where the line is shared: what one delivery says, no other one says again."""
    free = [name for name in (*_NAMES, "policy") if name not in taken]
    parts = draw(st.lists(st.sampled_from(free), min_size=1, unique=True)) if free else []
    values = st.sampled_from(["v1", "v2", "v3"])
    event = brings(at, {name: draw(values) for name in parts if name != "policy"}, None, object_id)
    if "policy" in parts:
        event = replace(event, policy=signing(draw(st.sampled_from(["k1", "k2", "k3"]))))
    return event


def _said_at(events: list[Event], line: int) -> frozenset[str]:
    """What other deliveries of this line have said."""
    same = [event for event in events if event.order and event.order.value == line]
    said = {name for event in same for name in event.secrets}
    return frozenset(said | {"policy" for event in same if event.policy})
