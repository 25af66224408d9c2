"""The spool: deliveries that the store could not take, encrypted, in a local SQLite file.

One file a host, shared by its receivers, which put in and drain; doctor and audit look into it.
What is put in is on disk when `put` returns. It must not know why the store is away.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from innkeeper.durable import sync_folder
from innkeeper.lifecycle.events import DeliveryId
from innkeeper.store.log import CLAIM_PERIOD_SECONDS, Appended, Prepared

FILE = "spool.sqlite"
_BUSY_SECONDS = 2.0
_AGAIN_SECONDS = 0.01
_TABLES = """
CREATE TABLE IF NOT EXISTS deliveries (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    delivery TEXT NOT NULL,
    partition INTEGER NOT NULL,
    instance TEXT NOT NULL,
    at REAL NOT NULL,
    size INTEGER NOT NULL,
    arguments BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS deliveries_by_time ON deliveries (at);
CREATE TABLE IF NOT EXISTS claims (
    partition INTEGER NOT NULL,
    claim BLOB NOT NULL,
    delivery TEXT NOT NULL,
    PRIMARY KEY (partition, claim)
) WITHOUT ROWID;
"""
_pack = msgspec.msgpack.encode


class SpoolUnavailable(Exception):
    """The file cannot be used, or is full: nothing of what was to be put in is in it."""


class SpoolState(msgspec.Struct, frozen=True, kw_only=True):
    """What the spool holds. `bytes`: of the file, in use. `oldest_at`: seconds since the epoch.

    `overdue`: how many are older than claims live and are not drained. `error`: why it cannot be
    used.
    """

    deliveries: int = 0
    bytes: int = 0
    oldest_at: float | None = None
    overdue: int = 0
    error: str | None = None


class Held(NamedTuple):
    """A delivery in the spool, at its place in the order of arrival."""

    place: int
    entry: Prepared


class Spool:
    """The file, open. Every method raises SpoolUnavailable; one thread at a time may call them."""

    def __init__(self, data: Path, *, most_bytes: int) -> None:
        """Open the spool of a data folder, making it where it is missing."""
        self._most_bytes = most_bytes
        with _translated():
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = data / FILE
            # Never opened here once it is there: to close a file drops all locks that this process
            # has on it, those of SQLite's other connections too, and the next process to leave
            # would then take the write-ahead log away from under them.
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            self._file = _connect(path)
            self._file.executescript(_TABLES)
            self._path, self._which = path, _which(path)
            # The files' names have to be on disk as well as what is in them.
            sync_folder(data)

    def put(self, entries: Sequence[Prepared], *, now: float) -> list[Appended]:
        """Put in all of `entries` or none; which of them are duplicates of what is there."""
        with self._writing():
            self._check_place()
            if self._used_bytes() + sum(entry.size for entry in entries) > self._most_bytes:
                raise SpoolUnavailable("the spool is full")
            return [self._put(entry, now) for entry in entries]

    def holds(self, *, now: float) -> bool:
        """Whether there is anything to drain."""
        with _translated():
            found = self._file.execute(
                "SELECT EXISTS (SELECT 1 FROM deliveries WHERE at > ?)", (_oldest_drained(now),)
            )
            return bool(found.fetchone()[0])

    def oldest(self, limit: int, *, now: float, without: Collection[int] = ()) -> list[Held]:
        """The first `limit` to be drained, in order of arrival, `without` some partitions."""
        query = (
            "SELECT place, delivery, partition, instance, size, arguments FROM deliveries WHERE "
            "at > ? AND partition NOT IN (SELECT value FROM json_each(?)) ORDER BY place LIMIT ?"
        )
        left_out = msgspec.json.encode(sorted(without)).decode()
        with _translated():
            rows = self._file.execute(query, (_oldest_drained(now), left_out, limit)).fetchall()
            return [
                Held(
                    place,
                    Prepared(
                        delivery=delivery,
                        partition=partition,
                        instance=instance,
                        arguments=msgspec.msgpack.decode(arguments),
                        size=size,
                    ),
                )
                for place, delivery, partition, instance, size, arguments in rows
            ]

    def drop(self, drained: Sequence[Held]) -> None:
        """Take out what is in the log."""
        places = [(one.place,) for one in drained]
        claims = [(e.partition, c, e.delivery) for _, e in drained for c in _claims_of(e)]
        with self._writing():
            self._file.executemany("DELETE FROM deliveries WHERE place = ?", places)
            self._file.executemany(
                "DELETE FROM claims WHERE partition = ? AND claim = ? AND delivery = ?", claims
            )

    def state(self, *, now: float) -> SpoolState:
        """What it holds."""
        with _translated():
            self._check_place()
            deliveries, oldest_at, overdue = self._file.execute(
                "SELECT count(*), min(at), count(*) FILTER (WHERE at <= ?) FROM deliveries",
                (_oldest_drained(now),),
            ).fetchone()
            used = self._used_bytes()
        return SpoolState(deliveries=deliveries, bytes=used, oldest_at=oldest_at, overdue=overdue)

    def deliveries(self) -> list[tuple[DeliveryId, str, float]]:
        """What it holds, in order of arrival: delivery, instance, time of arrival."""
        with _translated():
            query = "SELECT delivery, instance, at FROM deliveries ORDER BY place"
            return self._file.execute(query).fetchall()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _put(self, entry: Prepared, now: float) -> Appended:
        claims = _claims_of(entry)
        for claim in claims:
            first = self._file.execute(
                "SELECT delivery FROM claims WHERE partition = ? AND claim = ?",
                (entry.partition, claim),
            ).fetchone()
            if first is not None:
                return Appended(first[0], first[0] != entry.delivery)
        self._file.execute(
            "INSERT INTO deliveries (delivery, partition, instance, at, size, arguments) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (entry.delivery, entry.partition, entry.instance, now, entry.size,
             _pack(entry.arguments)),
        )  # fmt: skip
        self._file.executemany(
            "INSERT INTO claims (partition, claim, delivery) VALUES (?, ?, ?)",
            [(entry.partition, claim, entry.delivery) for claim in claims],
        )
        return Appended(entry.delivery, False)

    def _check_place(self) -> None:
        """What is put into a file that nobody finds any more is lost with this process."""
        if _which(self._path) != self._which:
            raise SpoolUnavailable(f"{self._path} is another file now: start every receiver anew")

    def _used_bytes(self) -> int:
        pages, free, size = (
            self._file.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction: on disk at its end, or undone."""
        with _translated():
            self._file.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._file.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._file.execute("ROLLBACK")
                raise


def look(data: Path, *, now: float) -> SpoolState | None:
    """What the spool of a data folder holds; None where there is no spool."""
    if not (data / FILE).exists():
        return None
    try:
        spool = Spool(data, most_bytes=0)
        try:
            return spool.state(now=now)
        finally:
            spool.close()
    except SpoolUnavailable as error:
        return SpoolState(error=str(error))


def held_ids(data: Path) -> set[DeliveryId]:
    """The deliveries that the spool of a data folder holds. Raises SpoolUnavailable."""
    if not (data / FILE).exists():
        return set()
    spool = Spool(data, most_bytes=0)
    try:
        return {delivery for delivery, _, _ in spool.deliveries()}
    finally:
        spool.close()


def _connect(path: Path) -> sqlite3.Connection:
    # Transactions are ours; the connection is opened in one thread and used in another.
    file = sqlite3.connect(
        path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    if _write_ahead(file) != "wal":
        raise SpoolUnavailable(f"{path} lies where SQLite cannot keep a write-ahead log")
    # A transaction is on disk when COMMIT returns.
    file.execute("PRAGMA synchronous = FULL")
    return file


def _write_ahead(file: sqlite3.Connection) -> str:
    """Have a write-ahead log kept. Of several who make the file at once, SQLite lets none wait."""
    give_up_at = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            return str(file.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                raise
            time.sleep(_AGAIN_SECONDS)


def _which(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _claims_of(entry: Prepared) -> list[Any]:
    """The claims of an entry, its own id among them, as the append script takes them."""
    own, _, count = entry.arguments[:3]
    return [own, *entry.arguments[3 : 3 + count]]


def _oldest_drained(now: float) -> float:
    """What is older may have been told as a duplicate by claims that live no more."""
    return now - CLAIM_PERIOD_SECONDS


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, msgspec.DecodeError) as error:
        raise SpoolUnavailable(f"the spool cannot be used: {error}") from error
