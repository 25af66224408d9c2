"""The receiver's cache of discovered keys: what it fetches, when, and what it never forgets."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from innkeeper.lifecycle.events import SigningPolicy
from innkeeper.outgoing import Outgoing
from innkeeper.platforms.discovery import fetch_keys
from innkeeper_receiver.discovery import DiscoveredKeys, KeysUnavailable
from tests.sites import Site, make_certificate, reply, site

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Issuers:
    """What is fetched: `kids` by issuer; an issuer without any fails. Counts who was asked."""

    def __init__(self) -> None:
        self.kids: dict[str, list[str]] = {"https://a": ["one"]}
        self.asked: list[str] = []
        self.open = threading.Event()
        self.open.set()

    def fetch(
        self, issuer: str, algorithm: str | None, audience: str | None
    ) -> dict[str, SigningPolicy]:
        self.asked.append(issuer)
        assert self.open.wait(5)
        return {
            kid: SigningPolicy(
                algorithm=algorithm or "ES512",
                public_key=kid,
                fingerprint=kid,
                audience=audience,
                issuer=issuer,
            )
            for kid in self.kids[issuer]
        }


class Front:
    """A cache with its clock and its issuers, asked as the edge asks."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.issuers = Issuers()
        self.keys = DiscoveredKeys(self.issuers.fetch, monotonic=self.clock)

    async def find(self, kid: str, issuer: str = "https://a") -> str:
        """What the edge would do: `yes`, `no` (401) or `later` (503)."""
        try:
            found = await self.keys.find(issuer, kid, algorithm=None, audience=None)
        except KeysUnavailable:
            return "later"
        return "yes" if found is not None and found.public_key == kid else "no"

    async def settle(self) -> None:
        """Until a fetch that nobody waits for is over."""
        async with asyncio.timeout(5):
            own = asyncio.current_task()
            await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not own))


def run(story: Callable[[Front], Awaitable[None]]) -> None:
    """Run a test's story on a loop of its own."""

    async def main() -> None:
        await story(Front())

    asyncio.run(main())


def test_keys_are_fetched_once_an_hour() -> None:
    """Within an hour a known key causes no fetch; after it one, before the key is used."""

    async def story(front: Front) -> None:
        assert [await front.find("one") for _ in range(3)] == ["yes"] * 3
        front.clock.now += HOUR - 1
        assert await front.find("one") == "yes"
        assert len(front.issuers.asked) == 1
        front.clock.now += 1
        front.issuers.kids["https://a"] = ["two"]
        assert await front.find("one") == "no"
        assert len(front.issuers.asked) == 2

    run(story)


def test_the_policy_is_for_the_audience_and_algorithm_asked_for() -> None:
    """The same issuer under another audience or algorithm gives another policy."""

    async def story(front: Front) -> None:
        for algorithm, audience in (("ES256", "x"), ("ES256", "y"), ("RS256", "y")):
            found = await front.keys.find(
                "https://a", "one", algorithm=algorithm, audience=audience
            )
            assert found is not None
            assert (found.algorithm, found.audience) == (algorithm, audience)

    run(story)


def test_simultaneous_requests_share_a_fetch() -> None:
    """32 requests at once cause one fetch, and all get its answer."""

    async def story(front: Front) -> None:
        front.issuers.open.clear()
        waiting = [asyncio.create_task(front.find(kid)) for kid in ["one", "odd"] * 16]
        await asyncio.sleep(0.02)
        front.issuers.open.set()
        assert await asyncio.gather(*waiting) == ["yes", "no"] * 16
        assert len(front.issuers.asked) == 1

    run(story)


def test_a_request_that_goes_away_leaves_the_fetch() -> None:
    """A cancelled waiter cancels neither the fetch nor those who wait with it."""

    async def story(front: Front) -> None:
        front.issuers.open.clear()
        first, second = (asyncio.create_task(front.find("one")) for _ in range(2))
        await asyncio.sleep(0.02)
        first.cancel()
        await asyncio.sleep(0.02)
        front.issuers.open.set()
        assert await second == "yes"
        assert first.cancelled()
        assert len(front.issuers.asked) == 1

    run(story)


def test_a_flood_of_unknown_kids_is_bounded() -> None:
    """Invented kids cause one fetch a minute, and are refused in between."""

    async def story(front: Front) -> None:
        for second in range(180):
            answers = {await front.find(f"{second}-{number}") for number in range(5)}
            assert answers == {"no"}
            front.clock.now += 1
        assert len(front.issuers.asked) == 3
        assert await front.find("one") == "yes"

    run(story)


def test_a_rotated_key_is_found() -> None:
    """With overlap, the new key is fetched when first seen while the old one goes on serving."""

    async def story(front: Front) -> None:
        assert await front.find("one") == "yes"
        front.clock.now += MINUTE
        front.issuers.kids["https://a"] = ["one", "two"]
        assert [await front.find(kid) for kid in ("two", "one")] == ["yes", "yes"]
        front.issuers.kids["https://a"] = ["two"]
        front.clock.now += HOUR
        assert [await front.find(kid) for kid in ("two", "one")] == ["yes", "no"]
        assert len(front.issuers.asked) == 3

    run(story)


def test_a_failure_never_replaces_good_keys() -> None:
    """Good keys serve for a day while fetching, tried once a minute, fails; then no longer."""

    async def story(front: Front) -> None:
        assert await front.find("one") == "yes"
        good = front.issuers.kids.pop("https://a")
        front.clock.now += MINUTE
        assert [await front.find(kid) for kid in ("new", "one", "new")] == ["later", "yes", "later"]
        assert len(front.issuers.asked) == 2
        for minute in range(1, 11):
            front.clock.now = 1000 + HOUR + minute * MINUTE
            assert [await front.find("one") for _ in range(3)] == ["yes"] * 3
            await front.settle()
        assert len(front.issuers.asked) == 12
        front.clock.now = 1000 + DAY - 1
        assert await front.find("one") == "yes"
        await front.settle()
        front.clock.now += MINUTE
        assert await front.find("one") == "later"
        front.issuers.kids["https://a"] = good
        assert await front.find("one") == "later"
        front.clock.now += MINUTE
        assert await front.find("one") == "yes"

    run(story)


def test_a_renewal_that_keeps_failing_holds_up_nobody() -> None:
    """Once a renewal has failed, the next ones run while the good keys serve at once."""

    async def story(front: Front) -> None:
        assert await front.find("one") == "yes"
        good = front.issuers.kids.pop("https://a")
        front.clock.now += HOUR
        assert await front.find("one") == "yes"
        front.clock.now += MINUTE
        front.issuers.open.clear()
        front.issuers.kids["https://a"] = good
        assert await asyncio.wait_for(front.find("one"), 0.5) == "yes"
        front.issuers.open.set()
        await front.settle()
        assert await front.find("odd") == "no"
        assert len(front.issuers.asked) == 3

    run(story)


def test_an_issuer_without_keys_is_unavailable_for_a_minute() -> None:
    """Where the first fetch fails, the answer is `later`, without another fetch for a minute."""

    async def story(front: Front) -> None:
        good = front.issuers.kids.pop("https://a")
        assert [await front.find("one") for _ in range(3)] == ["later"] * 3
        front.issuers.kids["https://a"] = good
        front.clock.now += MINUTE - 1
        assert await front.find("one") == "later"
        assert len(front.issuers.asked) == 1
        front.clock.now += 1
        assert await front.find("one") == "yes"

    run(story)


def test_a_flood_of_invented_issuers_is_bounded() -> None:
    """Of issuers never heard of ten a minute are asked, and those that are known go on serving."""

    async def story(front: Front) -> None:
        assert await front.find("one") == "yes"
        for number in range(300):
            assert await front.find("x", f"https://invented{number}") == "later"
            assert await front.find("x", "https://invented0") == "later"
            front.clock.now += 1
        assert 40 <= len(front.issuers.asked) <= 50
        assert await front.find("one") == "yes"
        assert front.issuers.asked.count("https://a") == 1

    run(story)


def test_a_known_issuer_is_renewed_during_such_a_flood() -> None:
    """Invented issuers use up nothing that an issuer with keys needs."""

    async def story(front: Front) -> None:
        assert await front.find("one") == "yes"
        front.clock.now += 2 * DAY
        for number in range(30):
            await front.find("x", f"https://invented{number}")
        assert await front.find("one") == "yes"

    run(story)


def test_the_issuers_held_are_bounded() -> None:
    """64 issuers are held: who never gave a key goes first, then the one not used for longest."""

    async def story(front: Front) -> None:
        names = [f"https://{number}" for number in range(64)]
        front.issuers.kids = {name: ["one"] for name in names}
        for name in [*names[:63], "https://invented", names[63]]:
            front.clock.now += MINUTE / 10
            await front.find("one", name)
        assert {await front.find("one", name) for name in names} == {"yes"}
        assert len(front.issuers.asked) == 65
        front.issuers.kids["https://new"] = ["one"]
        front.clock.now += MINUTE
        await front.find("one", names[0])
        assert await front.find("one", "https://new") == "yes"
        front.issuers.asked.clear()
        assert {await front.find("one", name) for name in names[2:]} == {"yes"}
        assert await front.find("one", names[0]) == "yes"
        assert front.issuers.asked == []
        assert await front.find("one", names[1]) == "yes"
        assert front.issuers.asked == [names[1]]

    run(story)


def test_with_real_documents_over_https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real issuer that answers badly, redirects or hangs up leaves its good keys in force."""
    trusted, tls = make_certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    jwk = {
        "kid": "one",
        "kty": "EC",
        "use": "sig",
        "crv": "P-256",  # the example key of RFC 7517, appendix A.1
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    }

    async def story(running: Site) -> None:
        outgoing = Outgoing([f"127.0.0.1:{running.port}"])
        clock = Clock()
        keys = DiscoveredKeys(
            lambda issuer, algorithm, audience: fetch_keys(
                outgoing, issuer, algorithm=algorithm, audience=audience
            ),
            monotonic=clock,
        )
        issuer = f"https://127.0.0.1:{running.port}"

        async def find(kid: str) -> SigningPolicy | None:
            return await keys.find(issuer, kid, algorithm="ES256", audience=None)

        good = await find("one")
        assert good is not None
        assert good.algorithm == "ES256"
        for bad in (reply("200 OK", b"{}"), reply("301 Moved", b"", "Location: /"), b""):
            running.replies["/jwks"] = bad
            clock.now += MINUTE
            with pytest.raises(KeysUnavailable):
                await find("two")
            assert await find("one") == good

    with site(tls) as running:
        document = {"jwks_uri": f"https://127.0.0.1:{running.port}/jwks"}
        running.replies["/.well-known/openid-configuration"] = reply(
            "200 OK", json.dumps(document).encode()
        )
        running.replies["/jwks"] = reply("200 OK", json.dumps({"keys": [jwk]}).encode())
        asyncio.run(story(running))
        assert running.paths.count("/jwks") == 4
