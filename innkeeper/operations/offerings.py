"""The vendor's offerings on a marketplace, and installations where a vendor makes them itself.

Asked by operators. Passes on what the marketplaces' own APIs know; keeps nothing.
"""

from __future__ import annotations

from typing import Any

from innkeeper.config import App, Config, XurrentApp
from innkeeper.operations.desk import Desk
from innkeeper.operations.questions import (
    Asked,
    BadQuestion,
    Page,
    checked,
    read_cursor,
    write_cursor,
)
from innkeeper.operations.reading import open_client
from innkeeper.platforms import client_of
from innkeeper.platforms.api_errors import Down, Invalid, Missing, Unsupported

Document = dict[str, Any]


def find_app(config: Config, text: str) -> App:
    """An app by `name` or `platform/name`. Raises BadQuestion."""
    platform, _, name = text.rpartition("/")
    found = [app for app in config.apps if app.name == name and platform in ("", app.platform)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(f"{app.platform}/{app.name}" for app in found)
        raise BadQuestion(f"{text[:80]!r} may be any of: {names}")
    known = ", ".join(f"{app.platform}/{app.name}" for app in config.apps) or "none"
    raise BadQuestion(f"no app {text[:80]!r} is configured; there are: {known}")


def provider_app(config: Config, name: str | None) -> XurrentApp:
    """The app whose provider's offerings are meant. Raises BadQuestion.

    Without a name: the first, where all are of one provider.
    """
    apps = {one.name: one for one in config.apps if isinstance(one, XurrentApp) and one.api}
    if name is not None:
        return apps[checked("app", name, apps)]
    if not apps:
        raise BadQuestion("no app with offerings has an [apps.api] configured")
    if len({(one.account, one.domain) for one in apps.values()}) > 1:
        raise BadQuestion(f"app is missing, one of: {', '.join(apps)}")
    return next(iter(apps.values()))


def offerings_of(desk: Desk, app: App) -> Any:
    """The offerings: `pages`, `one`, `create`, `update`. Raises Unsupported where there are none.

    All of that raises ApiError; Invalid with all faults.
    """
    found = getattr(open_client(desk, app), "offerings", None)
    if found is None:
        raise Unsupported(f"{app.platform} has no offerings in its API")
    return found


def list_offerings(desk: Desk, app: App, asked: Asked) -> Page[Document]:
    """A page of the provider's offerings. Raises BadQuestion, ApiError."""
    query = dict(asked.filters)
    if len(query) < len(asked.filters):
        raise BadQuestion("a filter is given twice")
    query |= {"sort": asked.sort} if asked.sort is not None else {}
    names = asked.fields.split(",") if asked.fields is not None else []
    query |= {"fields": ",".join(dict.fromkeys(["id", *names]))} if names else {}
    try:
        found = [one for page in offerings_of(desk, app).pages(query) for one in page]
    except Invalid as error:
        raise BadQuestion(error.message) from error
    start = 0
    if asked.cursor is not None:
        (last,) = read_cursor(asked.cursor, tuple[str])
        ids = [str(one.get("id")) for one in found]
        if last not in ids:
            raise BadQuestion("the cursor's offering is not in this list any more")
        start = ids.index(last) + 1
    page = found[start : start + asked.per_page]
    following = None
    if start + asked.per_page < len(found):
        following = write_cursor(str(page[-1].get("id")))
    if names:
        page = [{name: one[name] for name in names if name in one} for one in page]
    return Page(items=page, next=following)


class OwnInstallations:
    """The installations of one app, of those that the account's API shows. Raises ApiError."""

    def __init__(self, desk: Desk, app: App) -> None:
        """Raises Unsupported where a vendor has no installations to make."""
        self._app = app
        self._reading = client_of(app.platform).reading
        found = getattr(open_client(desk, app), "installations", None)
        if found is None:
            raise Unsupported(f"{app.platform} has no installations in its API")
        self._all: Any = found

    def all(self) -> list[Document]:
        """All of them."""
        return [one for page in self._all.pages() for one in page if self._is_own(one)]

    def one(self, installation_id: str) -> Document:
        """One by its id. Raises Missing, for one of another app too."""
        found: Document = self._all.one(installation_id)
        if not self._is_own(found):
            raise Missing(f"installation {installation_id:.80} is none of {self._app.name}")
        return found

    def create(self, fields: Document) -> Document:
        """Install the app for a customer; `plugin_id` is the app's unless it is stated."""
        made: Document = self._all.create({"plugin_id": self._app.reference, **fields})
        return made

    def update(self, installation_id: str, fields: Document) -> Document:
        """Change one. Raises Invalid with all faults, Missing."""
        self.one(installation_id)
        changed: Document = self._all.update(installation_id, fields)
        return changed

    def delete(self, installation_id: str) -> None:
        """Delete one. Raises Missing."""
        self.one(installation_id)
        self._all.delete(installation_id)

    def _is_own(self, document: Document) -> bool:
        try:
            return self._reading.found(document, self._app) is not None
        except ValueError as error:
            raise Down(f"an installation: {error}") from None
