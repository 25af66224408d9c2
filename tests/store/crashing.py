"""Scripts that break off: before their n-th command an error is planted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from innkeeper.store.connection import Command, Store, script
from innkeeper.store.errors import StoreError

_PLANTED = """
local left, real = {n}, redis.call
local redis = {{call = function(...)
  left = left - 1
  if left == 0 then error('planted') end
  return real(...)
end}}
"""


def breaking_off(name: str, command: Command, n: int) -> Command:
    """The call of a script, that fails before its n-th command to the server (from 1)."""
    known = script(name)
    assert command[1] == known.sha
    assert "redis.pcall" not in known.text
    return ("EVAL", _PLANTED.format(n=n) + known.text, *command[2:])


def crash_points(store: Store, name: str, command: Command) -> Iterator[int]:
    """Run the script once for each command in it, breaking off before that one.

    Whoever iterates looks at what is left, and empties the store before the next.
    """
    for n in count(1):
        call = breaking_off(name, command, n)
        (answer,) = store.attempt([call])
        if not isinstance(answer, StoreError):
            assert n > 1
            return
        assert "planted" in str(answer), answer
        yield n
    pytest.fail("unreachable")
