"""Xandr's App Installation service: its envelope, its list page by page, and one installation.

Used by the client. An error may come inside an answer of HTTP 200.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from innkeeper.outgoing import Answer
from innkeeper.platforms.api_answers import (
    DEFAULT_DELAY_SECONDS,
    delay_in,
    judged,
    messages_in,
)
from innkeeper.platforms.api_errors import (
    ApiError,
    Down,
    Inconsistent,
    Invalid,
    Missing,
    RateLimited,
    Refused,
)
from innkeeper.platforms.calls import Caller, Reply
from innkeeper.platforms.counting import Counting
from innkeeper.platforms.fields import Field, Form, faults_of, number_in
from innkeeper.platforms.xandr.reading import object_id

Document = dict[str, Any]
PATH = "/app-installation"
ONE, ALL = "app-installation", "app-installations"
MAX_ELEMENTS = 100
"""Whoever asks for more gets as many, without a word."""
INSTALLATION_FIELDS: Mapping[str, Field] = {
    "plugin_id": Field(form=Form.NUMBER, required=True),
    "subscriber_entity_id": Field(form=Form.NUMBER, required=True),
    "subscriber_entity_type": Field(choices=("member", "bidder")),
    "accepted_permissions": Field(form=Form.FLAG),
    "accepted_permission": Field(form=Form.FLAG),
    "addendum": Field(),
    "permissions": Field(form=Form.OBJECTS),
    # Read-only by the table, and yet sent in the marketplace's own example.
    "log_level_data_fee": Field(form=Form.NUMBER),
    "subscriber_email": Field(),
    "subscriber_name": Field(),
    "subscriber_phone": Field(),
}
INSTALLATION_READ_ONLY = ("id", "has_payment_access", "installed_on", "installer_user_id")


def judge(answer: Answer, document: Any, now: float, accepted: frozenset[int]) -> ApiError | None:
    """The error that the envelope names, else what the status says."""
    delay_seconds = delay_in(answer.header("retry-after"), now)
    if delay_seconds is None and answer.header("x-ratelimit-code") is not None:
        delay_seconds = DEFAULT_DELAY_SECONDS
    response = document.get("response") if isinstance(document, dict) else None
    error_id = response.get("error_id") if isinstance(response, dict) else None
    if error_id is not None:
        return _named(str(error_id), messages_in(response), answer.status, delay_seconds)
    by_status = judged(answer, document, accepted, delay_seconds)
    if isinstance(by_status, Refused):
        # We sign in again on NOAUTH alone.
        return Refused(by_status.message, by_status.status)
    if by_status is not None or document is None:
        return by_status
    if not isinstance(response, dict) or response.get("status") != "OK":
        said = "; ".join(messages_in(response)) or "the answer is not of the service's form"
        return Down(f"{answer.status}: {said}", answer.status)
    return None


def _named(
    error_id: str, said: tuple[str, ...], status: int, delay_seconds: float | None
) -> ApiError:
    text = f"{error_id}: {'; '.join(said)}"
    if status == 429 or error_id == "LIMIT":
        return RateLimited(text, status, delay_seconds=delay_seconds or DEFAULT_DELAY_SECONDS)
    if error_id in ("NOAUTH", "NOAUTH_DISABLED", "NOAUTH_EXPIRED", "UNAUTH"):
        return Refused(text, status, renewable=error_id == "NOAUTH")
    if status == 404:
        return Missing(text, status)
    if error_id in ("INTEGRITY", "SYNTAX"):
        return Invalid(said or (error_id,), status)
    if error_id == "SYSTEM" or status >= 500:
        return Down(text, status)
    return ApiError(text, status)


class Installations:
    """The account's app installations, of all its plugins. All of it raises ApiError."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def pages(self) -> Iterator[list[Document]]:
        """Each page, an empty one too. Raises Inconsistent: what was given may not be all."""
        counting, start = Counting(), 0
        while True:
            reply = self._caller.call(
                "GET", PATH, {"start_element": start, "num_elements": MAX_ELEMENTS}
            )
            elements, count = _page(_response(reply), start)
            counting.state(count)
            _count(counting, elements)
            yield elements
            start += len(elements)
            if start >= count:
                return counting.end()

    def one(self, installation_id: str) -> Document:
        """One by its id. Raises Missing; what else an unknown id gets, nobody knows."""
        return _one(self._caller.call("GET", PATH, {"id": installation_id}))

    def create(self, fields: Mapping[str, Any]) -> Document:
        """Install an app for a client. Raises Invalid with all faults, before sending if it can."""
        _check(fields, creating=True)
        return _one(self._caller.call("POST", PATH, document={ONE: fields}))

    def update(self, installation_id: str, fields: Mapping[str, Any]) -> Document:
        """Change fields of an installation. Raises Invalid with all faults, Missing."""
        _check(fields, creating=False)
        query = {"id": installation_id}
        return _one(self._caller.call("PUT", PATH, query, document={ONE: fields}))

    def delete(self, installation_id: str) -> None:
        """Delete an installation. Raises Missing."""
        self._caller.call("DELETE", PATH, {"id": installation_id})


def installation_faults(fields: Mapping[str, Any], *, creating: bool) -> tuple[str, ...]:
    """Everything that the marketplace would not take of an installation's fields."""
    return faults_of(
        fields, INSTALLATION_FIELDS, creating=creating, read_only=INSTALLATION_READ_ONLY
    )


def _check(fields: Mapping[str, Any], *, creating: bool) -> None:
    faults = installation_faults(fields, creating=creating)
    if faults:
        raise Invalid(faults)


def _response(reply: Reply) -> Document:
    document = reply.document
    response = document.get("response") if isinstance(document, dict) else None
    if not isinstance(response, dict):
        raise Down("the answer has no response", reply.answer.status)
    return response


def _one(reply: Reply) -> Document:
    """The one installation of an answer, stated alone or as a list of one. Raises Missing, Down."""
    response = _response(reply)
    found = response.get(ONE, response.get(ALL))
    if isinstance(found, list) and len(found) <= 1:
        found = found[0] if found else None
    if found is None:
        raise Missing("the answer holds no installation", reply.answer.status)
    if not isinstance(found, dict):
        raise Down("the answer's installation is no object", reply.answer.status)
    return found


def _elements(response: Document) -> list[Document]:
    found = response.get(ALL, response.get(ONE))
    if isinstance(found, dict):
        found = [found]
    elements = [] if found is None else found
    if not isinstance(elements, list) or not all(isinstance(each, dict) for each in elements):
        raise Inconsistent("a page is no list of installations")
    return elements


def _page(response: Document, start: int) -> tuple[list[Document], int]:
    """A page that was asked for from `start` on, and how many there are in all."""
    count, most, elements = _stated(response, "count"), MAX_ELEMENTS, _elements(response)
    # The legacy shape leaves these two null.
    if response.get("num_elements") is not None:
        most = min(most, _stated(response, "num_elements"))
    if response.get("start_element") is not None and _stated(response, "start_element") != start:
        raise Inconsistent(f"a page from another place than {start} on")
    left = max(count - start, 0)
    if len(elements) != min(most, left) or (left and not elements):
        raise Inconsistent(f"a page of {len(elements)} from {start} of {count} on")
    return elements, count


def _stated(response: Document, name: str) -> int:
    number = number_in(response.get(name))
    if number is None:
        raise Inconsistent(f"a page whose {name} is no number")
    return number


def _count(counting: Counting, elements: list[Document]) -> None:
    try:
        counting.add(object_id(each) for each in elements)
    except ValueError as error:
        raise Inconsistent(f"an element of the list: {error}") from None
