"""The connection to the store: commands, batches of commands and scripts, with our errors.

`Store` is synchronous and used by workers, console and operations; `AsyncStore` is the receiver's.
Both keep only what differs, how a batch is sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.resources import files
from typing import Any

import redis
import redis.asyncio
from hiredis import pack_command
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,
    NoScriptError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from innkeeper.store.errors import StoreError, StoreUnavailable

Command = tuple[Any, ...]


class Script:
    """A Lua script of `store/scripts`, called by its SHA-1."""

    def __init__(self, name: str) -> None:
        """Read the script from the package."""
        self.text = files("innkeeper.store.scripts").joinpath(f"{name}.lua").read_text("utf-8")
        # The name by which the server knows a script is its SHA-1; nothing rests on its strength.
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def call(self, keys: Sequence[str], args: Sequence[Any]) -> Command:
        """The command that runs it."""
        return ("EVALSHA", self.sha, len(keys), *keys, *args)


@lru_cache(maxsize=64)
def script(name: str) -> Script:
    """A script by its name, read once."""
    return Script(name)


@contextmanager
def translated() -> Iterator[None]:
    """Errors of the client's, as ours: StoreError, StoreUnavailable."""
    try:
        yield
    except (ConnectionError, TimeoutError, BusyLoadingError, OSError) as error:
        raise StoreUnavailable(str(error) or type(error).__name__) from error
    except RedisError as error:
        raise StoreError(str(error)) from error


def _unknown_scripts(commands: Sequence[Command], answers: Sequence[Any]) -> set[str]:
    pairs = zip(commands, answers, strict=True)
    return {command[1] for command, answer in pairs if isinstance(answer, NoScriptError)}


def _loads(shas: set[str], scripts: Callable[[], Sequence[Script]]) -> list[Command]:
    return [("SCRIPT", "LOAD", known.text) for known in scripts() if known.sha in shas]


def _all_scripts() -> list[Script]:
    folder = files("innkeeper.store.scripts")
    return [script(f.name[:-4]) for f in folder.iterdir() if f.name.endswith(".lua")]


def _as_store_errors(answers: Sequence[Any]) -> list[Any]:
    """Answers, with errors as StoreError values for whoever wants to look at each."""
    return [StoreError(str(a)) if isinstance(a, Exception) else a for a in answers]


class Store:
    """A connection pool; `timeout_seconds` bounds each wait for the server."""

    def __init__(self, url: str, *, timeout_seconds: float = 5.0) -> None:
        """Prepare a pool for `url` (redis, rediss or unix); nothing is connected yet."""
        self.url = url
        self.redis: Any = redis.Redis.from_url(
            url, socket_timeout=timeout_seconds, socket_connect_timeout=timeout_seconds
        )

    def command(self, *command: Any) -> Any:
        """Run one command. Raises StoreError, StoreUnavailable."""
        return self.batch([command])[0]

    def batch(self, commands: Sequence[Command]) -> list[Any]:
        """Run commands in one round trip. Raises the first error; the others were run all the same.

        A script that the server does not know is loaded and run again.
        """
        answers = self.attempt(commands)
        for answer in answers:
            if isinstance(answer, StoreError):
                raise answer
        return answers

    def attempt(self, commands: Sequence[Command]) -> list[Any]:
        """As `batch`, but a command's error stands in its place as a StoreError."""
        with translated():
            answers = self._send(commands)
            unknown = _unknown_scripts(commands, answers)
            if unknown:
                self._send(_loads(unknown, _all_scripts))
                for at, answer in enumerate(answers):
                    if isinstance(answer, NoScriptError):
                        answers[at] = self._send([commands[at]])[0]
        return _as_store_errors(answers)

    def scan(
        self, name: str | None = None, *, count: int, match: str | None = None
    ) -> Iterator[Any]:
        """The keys of the store, or fields and values of the hash `name`, about `count` at a time.

        What comes or goes meanwhile may be left out, or come twice. Raises as `command` does.
        """
        command = ("SCAN",) if name is None else ("HSCAN", name)
        options = () if match is None else ("MATCH", match)
        cursor = 0
        while True:
            cursor, found = self.command(*command, cursor, *options, "COUNT", count)
            yield found
            if not cursor:
                return

    def _send(self, commands: Sequence[Command]) -> list[Any]:
        pipeline = self.redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = pipeline.execute(raise_on_error=False)
        return answers

    def close(self) -> None:
        """Close every connection."""
        self.redis.close()


class AsyncStore:
    """The same for the receiver's event loop."""

    def __init__(self, url: str, *, timeout_seconds: float = 1.5) -> None:
        """Prepare a pool for `url`; nothing is connected yet."""
        self.redis: Any = redis.asyncio.Redis.from_url(
            url, socket_timeout=timeout_seconds, socket_connect_timeout=timeout_seconds
        )

    async def command(self, *command: Any) -> Any:
        """Run one command. Raises StoreError, StoreUnavailable."""
        answer = (await self.attempt([command]))[0]
        if isinstance(answer, StoreError):
            raise answer
        return answer

    async def attempt(self, commands: Sequence[Command]) -> list[Any]:
        """Run commands in one round trip; an error stands in its command's place."""
        with translated():
            answers = await self._send(commands)
            unknown = _unknown_scripts(commands, answers)
            if unknown:
                await self._send(_loads(unknown, _all_scripts))
                for at, answer in enumerate(answers):
                    if isinstance(answer, NoScriptError):
                        answers[at] = (await self._send([commands[at]]))[0]
        return _as_store_errors(answers)

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        # As a pipeline does it, but packed by hiredis: the client's own packing in Python took as
        # long as all the rest of a delivery's way through the receiver.
        pool = self.redis.connection_pool
        connection = await pool.get_connection()
        try:
            await connection.send_packed_command([pack_command(command) for command in commands])
            return [await _answer_of(connection) for _ in commands]
        except BaseException:
            # Answers may still be on their way: nobody else must get them.
            await connection.disconnect(nowait=True)
            raise
        finally:
            await pool.release(connection)

    async def close(self) -> None:
        """Close every connection."""
        await self.redis.aclose()


async def _answer_of(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error
