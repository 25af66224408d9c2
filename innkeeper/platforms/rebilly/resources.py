"""What an owner's organization holds at Rebilly: applications, webhooks and their credentials.

Used by the client, by `connect` and by the console. Documents are the marketplace's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from innkeeper.outgoing import Answer
from innkeeper.platforms.api_answers import delay_in, judged
from innkeeper.platforms.api_errors import ApiError, Down, Inconsistent, Invalid, Unsupported
from innkeeper.platforms.calls import MAX_ANSWER_BYTES, Caller, Reply, segment
from innkeeper.platforms.counting import Counting
from innkeeper.platforms.fields import Field, Form, faults_of, number_in
from innkeeper.platforms.rebilly.inbound import DISABLED, ENABLED

Document = dict[str, Any]
APPLICATION_FIELDS: Mapping[str, Field] = {
    "name": Field(required=True),
    "logoId": Field(form=Form.RESOURCE_ID, required=True, max_characters=50),
    "authorName": Field(required=True),
    "authorLogoId": Field(form=Form.RESOURCE_ID, max_characters=50),
    "tagline": Field(required=True),
    "description": Field(required=True),
    # The marketplace knows 26 permissions today and may know more tomorrow.
    "permissions": Field(form=Form.TEXTS, required=True),
    "properties": Field(form=Form.OBJECT),
    "configuredBy": Field(),
}
APPLICATION_READ_ONLY = ("id", "status", "createdTime", "updatedTime", "_links")
_ORGANIZATION = re.compile(r"/organizations/[^/]+\Z")
_LIMIT = 200
_LAST_OFFSET, _LAST_LIMIT = 1000, 1000
"""The greatest that the API takes: together the reach of 2,000 rows."""
_LAST_ANSWER_BYTES = 4 * MAX_ANSWER_BYTES


def judge(answer: Answer, document: Any, now: float, accepted: frozenset[int]) -> ApiError | None:
    """The status; when to come back stands in a header of Rebilly's own, as an epoch."""
    stated = answer.header("x-ratelimit-retry-after") or answer.header("retry-after")
    return judged(answer, document, accepted, delay_in(stated, now))


def pages(caller: Caller, path: str, id_name: str) -> Iterator[list[Document]]:
    """Each page of a list, an empty one too. Raises ApiError.

    Raises Inconsistent where the pages given so far cannot be all of it, so too behind the API's
    reach of 2,000 rows.
    """
    counting, offset = Counting(), 0
    while True:
        last = offset >= _LAST_OFFSET
        limit = _LAST_LIMIT if last else _LIMIT
        reply = caller.call(
            "GET",
            path,
            {"limit": limit, "offset": offset},
            max_answer_bytes=_LAST_ANSWER_BYTES if last else MAX_ANSWER_BYTES,
        )
        total = number_in(reply.answer.header("pagination-total"))
        if total is None:
            raise Inconsistent("a page does not say how many there are in all")
        counting.state(total)
        elements = _elements(reply, id_name)
        if len(elements) != min(limit, max(total - offset, 0)):
            raise Inconsistent(f"a page of {len(elements)} from {offset} of {total} on")
        counting.add(each[id_name] for each in elements)
        yield elements
        offset += limit
        if offset >= total:
            return counting.end()
        if last:
            raise Inconsistent(f"only the first {offset} of {total} can be read")


def _elements(reply: Reply, id_name: str) -> list[Document]:
    elements = reply.document
    if not isinstance(elements, list) or not all(isinstance(each, dict) for each in elements):
        raise Inconsistent("a page is no list of objects")
    if not all(isinstance(each.get(id_name), str) for each in elements):
        raise Inconsistent(f"an element of the list has no {id_name}")
    return elements


def organization_url(base_url: str, account: str) -> str:
    """Where an organization's own side of the API is. `base_url`: the owner's."""
    return f"{_ORGANIZATION.sub('', base_url)}/organizations/{segment(account)}"


def object_of(reply: Reply) -> Document:
    """The answer's object. Raises Down for what is none."""
    if not isinstance(reply.document, dict):
        raise Down("the answer is no object", reply.answer.status)
    return reply.document


class Applications:
    """The owner's applications. All of it raises ApiError."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def pages(self) -> Iterator[list[Document]]:
        """All of them, page by page. Raises Inconsistent: what was given may not be all."""
        return pages(self._caller, "/applications", "id")

    def one(self, application_id: str) -> Document:
        """One by its id. Raises Missing."""
        return object_of(self._caller.call("GET", f"/applications/{segment(application_id)}"))

    def register(self, fields: Mapping[str, Any]) -> Document:
        """Register an application. Raises Invalid with all faults, before sending if it can."""
        faults = application_faults(fields)
        if faults:
            raise Invalid(faults)
        return object_of(self._caller.call("POST", "/applications", document=fields))

    def create(self, fields: Mapping[str, Any]) -> Document:
        """`register`, by the word that operators use for every marketplace."""
        return self.register(fields)

    def update(self, application_id: str, fields: Mapping[str, Any]) -> Document:
        """The API changes no application. Raises Unsupported."""
        raise Unsupported("Rebilly's API changes no application")


def application_faults(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Everything that the marketplace would not take of a new application's fields."""
    return faults_of(fields, APPLICATION_FIELDS, creating=True, read_only=APPLICATION_READ_ONLY)


class Webhooks:
    """The webhooks of the owner's organization, at most 25 active ones, and their credential."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def credential(self, host: str, username: str, password: str) -> str:
        """The hash of a basic credential for `host` (no port): a new one, or the same as before."""
        reply = self._caller.call(
            "POST",
            "/service-credentials/webhook",
            document={
                "host": host,
                "auth": {"type": "basic", "username": username, "password": password},
            },
            accepted=(303,),  # there is one already: it is in the body, and nothing is followed
            secrets=(password,),
        )
        stated = object_of(reply)
        found = stated.get("hash", stated.get("credentialHash"))
        if not isinstance(found, str) or not found:
            raise Down("the credential came without its hash", reply.answer.status)
        return found

    def pages(self) -> Iterator[list[Document]]:
        """All webhooks, page by page. Raises Inconsistent: what was given may not be all."""
        return pages(self._caller, "/webhooks", "id")

    def create(self, url: str, credential_hash: str) -> Document:
        """Subscribe to both events of an application's life."""
        document = subscription(url, credential_hash)
        return object_of(self._caller.call("POST", "/webhooks", document=document))

    def update(self, webhook_id: str, document: Mapping[str, Any]) -> Document:
        """Put a whole webhook in the place of the one with that id. Raises Missing."""
        path = f"/webhooks/{segment(webhook_id)}"
        return object_of(self._caller.call("PUT", path, document=document))


def subscription(url: str, credential_hash: str) -> Document:
    """The webhook that an owner needs, one for all of its applications."""
    return {
        "method": "POST",
        "url": url,
        "credentialHash": credential_hash,
        "status": "active",
        "eventsFilter": [ENABLED, DISABLED],
    }
