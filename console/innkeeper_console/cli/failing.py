"""What is said on standard error when something is not fine, and the exit code for it."""

from __future__ import annotations

import sys

NOT_FINE = 1
WRONG_USAGE = 2


class Failed(Exception):
    """Something that was asked for is not fine. The message is for people, one line."""

    def __init__(self, message: str, code: int = NOT_FINE) -> None:
        self.code = code
        super().__init__(message)


def say(line: str) -> None:
    """A line on standard error."""
    print(line, file=sys.stderr)


def explain_failure(error: Exception) -> int:
    """Say what went wrong; the exit code. Raises what nobody has foreseen."""
    from innkeeper.config import ConfigFaults
    from innkeeper.operations.questions import BadQuestion
    from innkeeper.operations.replay import CannotReplay
    from innkeeper.runtime import UnsafeFolder
    from innkeeper.secrets import Damaged, MissingKey
    from innkeeper.store.errors import StoreError, StoreRefused, StoreUnavailable

    match error:
        case Failed():
            say(str(error))
            return error.code
        case ConfigFaults():
            for fault in error.faults:
                say(str(fault))
            return WRONG_USAGE
        case BadQuestion():
            say(str(error))
            return WRONG_USAGE
        case StoreUnavailable():
            say(f"the store does not answer: {error}")
        case StoreError():
            say(f"the store answers with an error: {error}")
        case MissingKey() | Damaged():
            say(f"it cannot be decrypted: {error}")
        case StoreRefused() | CannotReplay() | UnsafeFolder():
            say(str(error))
        case _:
            raise error
    return NOT_FINE
