"""The three marketplaces' APIs for tests of reading back: small, truthful, and bent when told to.

`Shore` serves them on loopback; `Reader` is a desk with the workers that read, step by step.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from innkeeper.bells import BellName
from innkeeper.config import App, RebillyApi, RebillyApp, XandrApi, XandrApp, XurrentApi, XurrentApp
from innkeeper.lifecycle.events import Event, InstanceKey
from innkeeper.operations.reconcile import Pass
from innkeeper.store.partitions import partition_of
from innkeeper.store.passes import Drift, PassState
from innkeeper_workers.marketplaces import task_of
from innkeeper_workers.performing import Performing
from tests.deliveries import rebilly_app, xurrent_app
from tests.platforms.apis import said
from tests.sites import Reply, Site, reply, site
from tests.standing import newest
from tests.workers.conftest import Inn

Document = dict[str, Any]
PAGE = 100


class Shore(dict[str, Reply]):
    """What the marketplaces hold. `bent`: a path (without query) to what is answered instead."""

    def __init__(self, running: Site) -> None:
        super().__init__()
        self.url = f"http://127.0.0.1:{running.port}"
        self.notes: dict[int, Document] = {}
        self.desks: dict[str, Document] = {}
        self.installations: dict[int, Document] = {}
        self.bent: dict[str, Reply | Callable[[], Reply]] = {}
        self.before: dict[str, Callable[[], None]] = {}
        self._site = running
        running.replies = self

    @property
    def asked(self) -> list[str]:
        """The paths of all requests."""
        return [path.partition("?")[0] for path in self._site.paths]

    def forget(self) -> None:
        """Begin counting requests anew."""
        self._site.requests.clear()

    def slowly(self, path: str, meanwhile: Callable[[], None]) -> None:
        """Do something between making up the next answer at `path` and sending it."""
        self.before[path] = meanwhile

    def get(self, target: str, default: Any = None) -> Any:
        parts = urlsplit(target)
        if parts.path in self.bent:
            return self.bent[parts.path]
        answer = self._answer(parts.path, dict(parse_qsl(parts.query)))
        meanwhile = self.before.pop(parts.path, None)
        if meanwhile is None:
            return answer

        def late(connection: socket.socket) -> None:
            meanwhile()
            connection.sendall(answer)

        return late

    def _answer(self, path: str, query: dict[str, str]) -> bytes:
        parts = path.strip("/").split("/")
        if parts[0] == "v1":
            return self._xurrent(parts[2:], query)
        if parts[0] == "organizations":
            return self._rebilly(parts[5:], query)
        if parts[0] == "auth":
            return said({"response": {"status": "OK", "token": "raw-token"}})
        return self._xandr(query)

    def _xurrent(self, rest: list[str], query: dict[str, str]) -> bytes:
        if rest:
            found = self.notes.get(int(rest[0]))
            return said(found) if found else said({"message": "Not Found"}, "404 Not Found")
        start, each = int(query.get("start", "0")), int(query["per_page"])
        shown = [self.notes[number] for number in sorted(self.notes)]
        headers = [f"X-Pagination-Total-Entries: {len(shown)}"]
        if start + each < len(shown):
            link = f"{self.url}/v1/app_instances?per_page={each}&sort=id&start={start + each}"
            headers.append(f'Link: <{link}>; rel="next"')
        return said(shown[start : start + each], "200 OK", *headers)

    def _rebilly(self, rest: list[str], query: dict[str, str]) -> bytes:
        if rest:
            found = self.desks.get(rest[0])
            return said(found) if found else said({"error": "none"}, "404 Not Found")
        shown = [self.desks[name] for name in sorted(self.desks)]
        start, limit = int(query["offset"]), int(query["limit"])
        total = f"Pagination-Total: {len(shown)}"
        return said(shown[start : start + limit], "200 OK", total)

    def _xandr(self, query: dict[str, str]) -> bytes:
        if "id" in query:
            found = self.installations.get(int(query["id"]))
            if found is None:
                return said({"response": {"error_id": "SYNTAX", "error": "no such id"}})
            return said({"response": {"status": "OK", "app-installation": found}})
        shown = [self.installations[number] for number in sorted(self.installations)]
        start, each = int(query["start_element"]), int(query["num_elements"])
        response = {
            "status": "OK", "count": len(shown), "start_element": start, "num_elements": each,
            "app-installations": shown[start : start + each],
        }  # fmt: skip
        return said({"response": response})


def note(number: int, account: str, **more: Any) -> Document:
    """An app instance as Xurrent shows it."""
    flags = {"disabled": False, "suspended": False, "enabled_by_customer": True}
    offering = {"id": 3, "reference": "tide-tables"}
    customer = {"id": account, "name": account.title()}
    return {"id": number, "app_offering": offering, "customer_account": customer} | flags | more


def desk_of(organization: str, status: str = "enabled", at: str = "2026-03-01T10:00:00Z") -> Any:
    """An application instance as Rebilly shows it."""
    return {
        "organizationId": organization, "applicationId": "app_desk", "status": status,
        "createdTime": "2026-01-01T00:00:00Z", "updatedTime": at,
    }  # fmt: skip


def installation(number: int, member: int, *, accepted: bool | None = None) -> Document:
    """An app installation as Xandr shows it."""
    return {
        "id": number, "plugin_id": 20, "subscriber_entity_type": "member",
        "subscriber_entity_id": member, "accepted_permissions": accepted,
    }  # fmt: skip


def on_xurrent(shore: Shore, **more: Any) -> XurrentApp:
    """The app `tides`, with an API."""
    url = f"{shore.url}/v1"
    api = XurrentApi(base_url=url, oauth_url=f"{shore.url}/token", token="personal")
    return xurrent_app(**({"api": api, "reconcile": 3600.0} | more))


def on_rebilly(shore: Shore, **more: Any) -> RebillyApp:
    """The app `desk`, with an API."""
    api = RebillyApi(base_url=f"{shore.url}/organizations/org_owner", api_key="key")
    return rebilly_app(**({"api": api, "reconcile": 3600.0} | more))


def on_xandr(shore: Shore, **more: Any) -> XandrApp:
    """The app `board`, polled."""
    api = XandrApi(base_url=shore.url, username="user", password="password")
    given: dict[str, Any] = {"name": "board", "reference": "20", "api": api}
    return XandrApp(**(given | more))


@contextlib.contextmanager
def shores() -> Iterator[Shore]:
    """The APIs for the time of a test, empty."""
    with site() as running:
        yield Shore(running)


class Reader(Inn):
    """An inn whose workers read back."""

    def confirm(self, at_most: int = 50) -> int:
        """Do whatever is due with marketplaces, applying after each; how much that was."""
        performing = Performing(self.desk, BellName.MARKETPLACES, task_of)
        done = 0
        while done < at_most and performing.look():
            done += 1
            self.apply()
        return done

    def confirm_unapplied(self) -> None:
        """The same, while apply stands still."""
        performing = Performing(self.desk, BellName.MARKETPLACES, task_of)
        while performing.look():
            continue

    def go_through(self, app: App, **more: Any) -> Drift:
        """One whole pass, applied."""
        drift = Pass(self.desk, app, **more).run()
        self.apply()
        return drift

    def said(self, app: App, account: str, event: Event) -> None:
        """A delivery about an instance, applied."""
        self.tell(event, key=InstanceKey(app.platform, app.name, account))

    def status(self, app: App, account: str) -> str | None:
        """Its status; None where the register knows of none."""
        line = self.desk.register.line(InstanceKey(app.platform, app.name, account))
        return str(line.instance.status) if line else None

    def happened(self, app: App, account: str) -> list[str]:
        """Its transitions."""
        return self.names(InstanceKey(app.platform, app.name, account))

    def state(self, app: App) -> PassState:
        """How an app's passes stand."""
        return self.desk.passes.states([InstanceKey.pseudo(app.platform, app.name)])[0]

    def applied_outcomes(self, app: App, account: str) -> list[str]:
        """What became of each entry about an instance."""
        key = InstanceKey(app.platform, app.name, account)
        batch = newest(self.desk.log, partition_of(key))
        return [entry.outcome for entry in reversed(batch) if entry.instance == key]


def down() -> bytes:
    """A marketplace that cannot serve."""
    return reply("503 Service Unavailable", b"<p>Back soon")
