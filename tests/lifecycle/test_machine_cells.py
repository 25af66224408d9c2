"""Every cell of the machine: each position that an instance can be in, and each event.

The table is written out by hand: where the instance then stands, and what happens on the way.
"""

from __future__ import annotations

import pytest

from innkeeper.lifecycle.errors import Impossible
from innkeeper.lifecycle.events import Event, EventKind, Flags, Phase
from innkeeper.lifecycle.instance import Instance, Status
from innkeeper.lifecycle.transitions import TABLE
from tests.lifecycle.telling import (
    DISABLED,
    NO_YES,
    OPERATES,
    SUSPENDED,
    after,
    arrive,
    brings,
    names,
    removes,
    revokes,
    signing,
    states,
)

ENABLING = Flags(disabled=False, suspended=None, enabled_by_customer=None, phase=Phase.ENABLING)
DISABLING = Flags(disabled=False, suspended=None, enabled_by_customer=None, phase=Phase.DISABLING)

POSITIONS: dict[str, Instance | None] = {
    "unknown": None,
    "secrets only": after(brings(10, {"token": "t"}, signing("old"))),
    "pending": after(states(10, NO_YES)),
    "enabling": after(states(10, ENABLING)),
    "enabled": after(states(10, OPERATES)),
    "disabling": after(states(10, DISABLING)),
    "suspended": after(states(10, SUSPENDED)),
    "disabled": after(states(10, DISABLED)),
    "removed": after(states(10, OPERATES), removes(11)),
}
EVENTS: dict[str, Event] = {
    "operates": states(20, OPERATES),
    "suspends": states(20, SUSPENDED),
    "disables": states(20, DISABLED),
    "no yes": states(20, NO_YES),
    "enabling": states(20, ENABLING),
    "disabling": states(20, DISABLING),
    "says no flag": states(20, Flags()),
    "another object": states(20, OPERATES, "B"),
    "removes": removes(20),
    "secrets": brings(20, {"token": "new"}),
    "app event": Event(type="told", kind=EventKind.APP_EVENT),
    "handshake": Event(type="verify", kind=EventKind.HANDSHAKE),
    "revokes": revokes("old"),
    "wishes": Event(type="wished", kind=EventKind.WISHED, confirmable=True),
}

# An event under each position: the status after it, then what happened. `=` is "no change".
EXPECTED = """
unknown
    operates        enabled    installed enabled
    suspends        suspended  installed suspended
    disables        disabled   installed disabled
    no yes          pending    installed
    enabling        enabling   installed
    disabling       disabling  installed
    says no flag    pending    installed
    another object  enabled    installed enabled
    removes         removed    removed
    secrets         pending    secrets_updated
    app event       unknown    app_event
    handshake       unknown    handshake
    revokes         unknown
    wishes          unknown
secrets only
    operates        enabled    installed enabled
    suspends        suspended  installed suspended
    disables        disabled   installed disabled
    no yes          pending    installed
    enabling        enabling   installed
    disabling       disabling  installed
    says no flag    pending    installed
    another object  enabled    installed enabled
    removes         removed    removed
    secrets         pending    secrets_updated
    app event       =          app_event
    handshake       =          handshake
    revokes         =
    wishes          =
pending
    operates        enabled    enabled
    suspends        suspended  suspended
    disables        disabled   disabled
    no yes          =
    enabling        enabling   updated
    disabling       disabling  updated
    says no flag    =
    another object  enabled    removed installed enabled
    removes         removed    removed
    secrets         =          secrets_updated
    app event       =          app_event
    handshake       =          handshake
    revokes         =
    wishes          =
enabling
    operates        enabled    enabled
    suspends        suspended  suspended
    disables        disabled   disabled
    no yes          pending    updated
    enabling        =
    disabling       disabling  updated
    says no flag    =
    another object  enabled    removed installed enabled
    removes         removed    removed
    secrets         =          secrets_updated
    app event       =          app_event
    handshake       =          handshake
    revokes         =
    wishes          =
enabled
    operates        =
    suspends        suspended  suspended
    disables        disabled   disabled
    no yes          disabled   disabled
    enabling        enabling   updated
    disabling       disabling  updated
    says no flag    =
    another object  enabled    removed installed enabled
    removes         removed    removed
    secrets         =          secrets_updated
    app event       =          app_event
    handshake       =          handshake
    revokes         =
    wishes          =
disabling
    operates        enabled    enabled
    suspends        suspended  suspended
    disables        disabled   disabled
    no yes          pending    updated
    enabling        enabling   updated
    disabling       =
    says no flag    =
    another object  enabled    removed installed enabled
    removes         removed    removed
    secrets         =          secrets_updated
    app event       =          app_event
    handshake       =          handshake
    revokes         =
    wishes          =
suspended
    operates        enabled    resumed
    suspends        =
    disables        disabled   disabled
    no yes          disabled   disabled
    enabling        enabling   updated
    disabling       disabling  updated
    says no flag    =
    another object  enabled    removed installed enabled
    removes         removed    removed
    secrets         =          secrets_updated
    app event       =          app_event
    handshake       =          handshake
    revokes         =
    wishes          =
disabled
    operates        enabled    enabled
    suspends        suspended  suspended
    disables        =
    no yes          disabled   updated
    enabling        enabling   updated
    disabling       disabling  updated
    says no flag    =
    another object  enabled    removed installed enabled
    removes         removed    removed
    secrets         =          secrets_updated
    app event       =          app_event
    handshake       =          handshake
    revokes         =
    wishes          =
removed
    operates        enabled    installed enabled
    suspends        suspended  installed suspended
    disables        disabled   installed disabled
    no yes          pending    installed
    enabling        enabling   installed
    disabling       disabling  installed
    says no flag    pending    installed
    another object  enabled    installed enabled
    removes         =
    secrets         =          secrets_updated
    app event       =          app_event
    handshake       =          handshake
    revokes         =
    wishes          =
"""


def cells() -> list[tuple[str, str, str, list[str]]]:
    """Position, event, status and what happened, of every line of the table."""
    found, position = [], ""
    for line in EXPECTED.strip().splitlines():
        if not line.startswith(" "):
            position = line
            continue
        event, (status, *happened) = line[4:20].strip(), line[20:].split()
        found.append((position, event, status, happened))
    return found


def test_the_table_has_every_cell():
    """No position, no event and no status is left out."""
    told = [(position, event) for position, event, _, _ in cells()]
    assert sorted(told) == sorted((position, event) for position in POSITIONS for event in EVENTS)
    assert set(Status) <= {found.status for found in POSITIONS.values() if found}
    assert set(TABLE) == {None, *Status}
    assert all(set(Status) == set(row) for row in TABLE.values())


@pytest.mark.parametrize(("position", "event", "status", "happened"), cells())
def test_cell(position, event, status, happened):
    """An event of this kind, newer than all that is known, leads there and sets off this."""
    known = POSITIONS[position]
    folded = arrive(known, EVENTS[event])
    standing = known.status if known else "unknown"
    expected = standing if status == "=" else status
    found = folded.instance.status if folded.instance else "unknown"
    assert (found, names(folded)) == (expected, happened)


@pytest.mark.parametrize("position", POSITIONS)
def test_what_states_nothing_raises_everywhere(position):
    """An event of a type that nothing handles never reaches the machine: raised, not guessed."""
    with pytest.raises(Impossible):
        arrive(POSITIONS[position], Event(type="novelty", kind=EventKind.OTHER))


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("position", POSITIONS)
def test_a_repetition_changes_nothing(position, event):
    """Folded twice, an event of facts has no effect the second time."""
    told = EVENTS[event]
    once = arrive(POSITIONS[position], told)
    twice = arrive(once.instance, told, 1001)
    if told.kind in (EventKind.APP_EVENT, EventKind.HANDSHAKE):
        assert twice.instance is once.instance
    else:
        assert names(twice) == []
        before = once.instance and (once.instance.status, once.instance.version)
        assert (twice.instance and (twice.instance.status, twice.instance.version)) == before
