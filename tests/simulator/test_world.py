"""The world: repeatable, ordered, and in the words of the register."""

from __future__ import annotations

import pytest

from simulator.settings import Settings
from simulator.world import rebilly, xandr, xurrent
from simulator.world.messages import Action
from simulator.world.truth import truth
from simulator.world.world import World
from tests.simulator.running import START

SETTINGS = Settings(algorithms=("es256", "es512"), customers=12)


def acted(seed: int, count: int = 400) -> tuple[World, list[Action]]:
    """A world after that many actions, and these."""
    world = World(Settings(seed=seed, algorithms=("es256", "es512"), customers=12), START)
    return world, [world.act() for _ in range(count)]


def test_the_same_seed_gives_the_same_world():
    """Actions, bodies and truth are equal to the last secret; another seed gives others."""
    world, actions = acted(1)
    again, repeated = acted(1)
    assert actions == repeated
    assert truth(world, with_secrets=True) == truth(again, with_secrets=True)
    assert acted(3)[1] != actions


def test_everything_happens():
    """Chance brings about every action and every status on every marketplace."""
    world = World(SETTINGS, START)
    happened: dict[str, set[str]] = {"xurrent": set(), "rebilly": set(), "xandr": set()}
    statuses: dict[str, set[str]] = {"xurrent": set(), "rebilly": set(), "xandr": set()}
    for _ in range(2000):
        action = world.act()
        happened[action.platform].add(action.name)
    for _ in range(100):
        world.act()
        for key, told in truth(world).items():
            statuses[key.partition("/")[0]].add(told["status"])
    assert happened == {
        "xurrent": set(xurrent.WEIGHTS),
        "rebilly": set(rebilly.WEIGHTS),
        "xandr": set(xandr.WEIGHTS),
    }
    assert statuses == {
        "xurrent": {"enabled", "disabled", "suspended", "pending", "removed"},
        "rebilly": {"enabled", "disabled"},
        "xandr": {"enabled", "disabled", "pending", "removed"},
    }


def test_audit_lines_grow():
    """One instance's changes come under growing numbers; parts of one change share theirs."""
    _, actions = acted(1)
    seen: dict[tuple[str, str], int] = {}
    for action in actions:
        lines = [m.payload.get("audit_line_id") for m in action.messages]
        for line in filter(None, lines):
            assert line >= seen.get((action.app, action.account), 0)
            seen[action.app, action.account] = line
        if action.name == "install" and action.platform == "xurrent":
            assert lines[1] == lines[2] == lines[3]


def test_a_reinstallation_is_another_object():
    """It has a new id, a new key and, until the customer agrees, no yes."""
    world = World(SETTINGS, START)
    account = world.customers[0].account
    ids, keys = [], []
    for name in ("install", "remove", "reinstall"):
        world.perform("note-dispatcher", account, name)
        instance = world.xurrent.instances["note-dispatcher", account]
        ids.append(instance.id)
        keys.append(instance.policy.public_pem)
    assert ids[0] == ids[1] != ids[2]
    assert keys[0] != keys[2]


def test_every_change_has_a_second_of_its_own():
    """No two of Rebilly's deliveries of one run share an updatedTime."""
    _, actions = acted(1)
    found = [
        message.payload["_embedded"]["applicationInstance"]["updatedTime"]
        for action in actions
        for message in action.messages
        if "applicationInstance" in message.payload.get("_embedded", {})
    ]
    assert len(found) == len(set(found)) > 10


def test_disabled_on_rebilly_tells_little():
    """It embeds the application alone: no status, no time."""
    world = World(SETTINGS, START)
    account = world.customers[0].account_on("rebilly")
    world.perform("loyalty", account, "install")
    [message] = world.perform("loyalty", account, "disable").messages
    assert message.event == "application-instance-disabled"
    assert list(message.payload["_embedded"]) == ["application"]


def test_what_cannot_happen_is_refused():
    """An unknown app or customer is no key; an action out of place no valid value."""
    world = World(SETTINGS, START)
    account = world.customers[0].account
    with pytest.raises(KeyError):
        world.perform("elsewhere", account, "install")
    with pytest.raises(KeyError):
        world.perform("note-dispatcher", "nobody", "install")
    with pytest.raises(ValueError, match="cannot happen"):
        world.perform("note-dispatcher", account, "remove")
