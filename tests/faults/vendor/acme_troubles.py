"""A vendor's follow-up with every kind of trouble: which one says the name of the customer.

It is no part of the tests that drive the product, and so may import what the contract gives to
vendors. In the folder ACME_TROUBLES it notes each run, and finds `mended` and `store.pid`.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from innkeeper import Permanent

_FOLDER = Path(os.environ["ACME_TROUBLES"])


def act(transition: Any, instance: Any, context: Any) -> None:
    """What a customer's name begins with happens, most of it in the first attempt alone."""
    kind, first = instance.id.rpartition("/")[2].partition("-")[0], context.attempt == 1
    _note("began", instance.id, context)
    mended = (_FOLDER / "mended").exists()
    if kind == "brief":
        time.sleep(2)
    elif kind in ("slow", "hangs") and first:
        time.sleep(25)
    elif kind == "deaf" and first:
        _hear_nothing()
    elif kind == "dies" and first:
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "unsettled" and first:
        os.kill(int((_FOLDER / "store.pid").read_text()), signal.SIGKILL)
    elif kind == "refuses" and not mended:
        raise Permanent("not of such a customer")
    elif kind == "fails" and not mended:
        raise RuntimeError("the vendor's own system is away")
    _note("ended", instance.id, context)


def _hear_nothing() -> None:
    while True:
        try:
            time.sleep(60)
        except BaseException:  # noqa: S112 - this is what it is for
            continue


def _note(word: str, instance: str, context: Any) -> None:
    """One short write, so that lines of several processes do not mix."""
    said = {"word": word, "instance": instance, "key": context.idempotency_key}
    line = json.dumps({**said, "attempt": context.attempt, "pid": os.getpid()}).encode() + b"\n"
    file = os.open(_FOLDER / "runs.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line)
    finally:
        os.close(file)
