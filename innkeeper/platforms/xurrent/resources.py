"""What the provider's own account holds beside app instances: offerings, webhooks, policies.

Used by `connect` and by the console's offerings. Documents are the marketplace's own; those of
webhook policies may hold keys and are never logged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from innkeeper.platforms.api_errors import Down, Invalid
from innkeeper.platforms.calls import Caller, segment
from innkeeper.platforms.fields import Field, Form, faults_of
from innkeeper.platforms.xurrent.paging import pages

Document = dict[str, Any]
ALGORITHMS = ("rs256", "rs384", "rs512", "es256", "es384", "es512")
_LARGE = 64 * 1024

OFFERING_FIELDS: Mapping[str, Field] = {
    "card_description": Field(max_characters=255),
    "configuration_uri_template": Field(max_characters=255),
    "compliance": Field(max_bytes=_LARGE),
    "compliance_attachments": Field(form=Form.OBJECTS),
    "description": Field(max_bytes=_LARGE),
    "description_attachments": Field(form=Form.OBJECTS),
    "disabled": Field(form=Form.FLAG),
    "features": Field(max_bytes=_LARGE),
    "features_attachments": Field(form=Form.OBJECTS),
    "name": Field(required=True, max_characters=128),
    "picture_uri": Field(),
    "policy_jwt_alg": Field(required=True, choices=ALGORITHMS),
    "policy_jwt_audience": Field(max_bytes=2 * 1024),
    "policy_jwt_claim_expires_in": Field(form=Form.DURATION),
    # Required, and yet it may be left out: the marketplace makes it from the name.
    "reference": Field(max_characters=161),
    "requires_enabled_oauth_person": Field(form=Form.FLAG),
    "service_instance": Field(form=Form.REFERENCE, required=True),
    "source": Field(max_characters=30),
    "sourceID": Field(max_characters=128),
    "ui_extension_version": Field(form=Form.REFERENCE),
    "webhook_uri_template": Field(required=True, max_characters=255),
}
OFFERING_READ_ONLY = ("attachments", "created_at", "id", "nodeID", "updated_at")
OFFERING_FILTERS = (
    "id", "source", "sourceID", "reference", "name", "created_at", "updated_at", "disabled",
)  # fmt: skip
OFFERING_SORTS = ("id", "sourceID", "name", "created_at", "updated_at")


class Resource:
    """One kind of thing under a path of the API. All of it raises ApiError."""

    def __init__(self, caller: Caller, path: str) -> None:
        self._caller = caller
        self._path = path

    def pages(self, query: Mapping[str, str | int] | None = None) -> Iterator[list[Document]]:
        """All of them, page by page. Raises Inconsistent: what was given may not be all."""
        return pages(self._caller, self._path, query or {})

    def one(self, object_id: str) -> Document:
        """One by its id. Raises Missing."""
        return self._call("GET", f"/{segment(object_id)}")

    def create(self, fields: Mapping[str, Any]) -> Document:
        """Make one; what the marketplace made of it. Raises Invalid with all faults."""
        return self._call("POST", "", fields)

    def update(self, object_id: str, fields: Mapping[str, Any]) -> Document:
        """Change fields of one; what it is now. Raises Invalid with all faults, Missing."""
        return self._call("PATCH", f"/{segment(object_id)}", fields)

    def delete(self, object_id: str) -> None:
        """Delete one. Raises Missing."""
        self._caller.call("DELETE", f"{self._path}/{segment(object_id)}")

    def _call(self, method: str, path: str, fields: Mapping[str, Any] | None = None) -> Document:
        if fields is None:
            reply = self._caller.call(method, self._path + path)
        else:
            reply = self._caller.call(method, self._path + path, document=fields)
        if not isinstance(reply.document, dict):
            raise Down(f"{method} {self._path}: the answer is no object", reply.answer.status)
        return reply.document


class Offerings(Resource):
    """The provider's app offerings; what is sent is checked before."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller, "/app_offerings")

    def pages(self, query: Mapping[str, str | int] | None = None) -> Iterator[list[Document]]:
        """All that pass the filters. `query`: filters, `sort` and `fields`; else Invalid."""
        asked = dict(query or {})
        check_query(asked, OFFERING_FILTERS, OFFERING_SORTS)
        return super().pages(asked)

    def create(self, fields: Mapping[str, Any]) -> Document:
        """Make an offering. Raises Invalid with all faults, before anything is sent if it can."""
        _check(offering_faults(fields, creating=True))
        return super().create(fields)

    def update(self, object_id: str, fields: Mapping[str, Any]) -> Document:
        """Change an offering. Raises Invalid with all faults, Missing."""
        _check(offering_faults(fields, creating=False))
        return super().update(object_id, fields)


class Webhooks(Resource):
    """The webhooks of the provider's account; each has one event."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller, "/webhooks")

    def test(self, object_id: str) -> None:
        """Have the marketplace send a test delivery. Raises Missing."""
        self._caller.call("POST", f"{self._path}/{segment(object_id)}/test")


def offering_faults(fields: Mapping[str, Any], *, creating: bool) -> tuple[str, ...]:
    """Everything that the marketplace would not take of an offering's fields."""
    return faults_of(fields, OFFERING_FIELDS, creating=creating, read_only=OFFERING_READ_ONLY)


def check_query(
    query: Mapping[str, str | int], filters: tuple[str, ...], sorts: tuple[str, ...]
) -> None:
    """Raise Invalid for filters and sorts that the marketplace does not know."""
    known = (*filters, "fields", "sort", "per_page")
    faults = [f"{name}: is no filter of this list" for name in query if name not in known]
    asked = str(query.get("sort", sorts[0])).split(",")
    faults += [f"sort: {each} is not sorted by" for each in asked if each.lstrip("-") not in sorts]
    _check(tuple(faults))


def _check(faults: tuple[str, ...]) -> None:
    if faults:
        raise Invalid(faults)
