"""What loading the configuration cannot tell: whether each follow-up function is there.

Asked by `innkeeper check`. Imports the vendor's code, as the workers will.
"""

from __future__ import annotations

from importlib import import_module

from innkeeper.config import Config, Fault


def check_follow_ups(config: Config) -> list[Fault]:
    """What is wrong with the functions that are to be called."""
    faults = []
    for index, follow_up in enumerate(config.follow_ups):
        message = _missing(follow_up.call) if follow_up.call else None
        if message:
            faults.append(Fault(path=f"follow_ups[{index}].call", message=message))
    return faults


def _missing(name: str) -> str | None:
    module, _, attribute = name.partition(":")
    try:
        found = import_module(module)
    # A module of the vendor's may do anything when it is imported, and even exit.
    except (Exception, SystemExit) as error:
        return f"{module} cannot be imported: {type(error).__name__}: {error}"
    function = getattr(found, attribute, None)
    if function is None:
        return f"{module} has no {attribute}"
    return None if callable(function) else f"{name} is no function"
