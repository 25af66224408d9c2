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
    usage = _of_usage(error)
    if usage is not None:
        for line in usage:
            say(line)
        return WRONG_USAGE
    if isinstance(error, Failed):
        say(str(error))
        return error.code
    say(_of_surroundings(error))
    return NOT_FINE


def _of_usage(error: Exception) -> list[str] | None:
    """What is wrong with what was given; None where it is something else."""
    from innkeeper.config import ConfigFaults
    from innkeeper.operations.questions import BadQuestion
    from innkeeper.platforms.api_errors import Invalid

    match error:
        case ConfigFaults():
            return [str(fault) for fault in error.faults]
        case Invalid():
            return list(error.faults)
        case BadQuestion():
            return [str(error)]
    return None


def _of_surroundings(error: Exception) -> str:
    """What is wrong with the store, the keys or the marketplace. Raises the error else."""
    from innkeeper.operations.replay import CannotReplay
    from innkeeper.platforms.api_errors import ApiError
    from innkeeper.runtime import UnsafeFolder
    from innkeeper.secrets import Damaged, MissingKey
    from innkeeper.store.errors import StoreError, StoreRefused, StoreUnavailable

    match error:
        case StoreUnavailable():
            return f"the store does not answer: {error}"
        case StoreError():
            return f"the store answers with an error: {error}"
        case MissingKey() | Damaged():
            return f"it cannot be decrypted: {error}"
        case StoreRefused() | CannotReplay() | UnsafeFolder() | ApiError():
            return str(error)
    raise error
