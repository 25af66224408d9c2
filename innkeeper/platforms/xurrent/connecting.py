"""Connects a provider's app: the webhook policy with its key, and the webhooks of an app's life.

The public key is shown once, when the policy is made: it is on disk before anything else is done.
Whatever a run has left undone, the next one does; done twice, it changes nothing.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

from innkeeper.config import XurrentApp
from innkeeper.lifecycle.events import SigningPolicy
from innkeeper.platforms.api_errors import Down
from innkeeper.platforms.connecting import Place, Step
from innkeeper.platforms.jws import signing_policy
from innkeeper.platforms.xurrent.client import Client
from innkeeper.platforms.xurrent.reading import object_id

Document = dict[str, Any]
SECRETS_UPDATE = "app_instance.secrets-update"
EVENTS = ("app_instance.create", "app_instance.update", "app_instance.delete", SECRETS_UPDATE)
POLICY_NAME = "Innkeeper"
_DEFAULT_ALGORITHM = "RS256"
_SHOWN = "id,name,event,uri,disabled,webhook_policy"
_KEYS = ("public_key_pem", "publicKeyPem", "public_key")


def connect(app: XurrentApp, client: Client, place: Place) -> Iterator[Step]:
    """Do what is missing, step by step. Raises ApiError, OSError."""
    place.keys.prepare()
    policies = [one for page in client.webhook_policies.pages() for one in page]
    webhooks = [one for page in client.webhooks.pages({"fields": _SHOWN}) for one in page]
    policy = yield from _policy(app, client, place, policies, webhooks)
    for event in EVENTS:
        yield _webhook(app, client, place, event, policy, webhooks)
    key_file = place.keys.find(_file_name(app, policy))
    if key_file is not None:
        learned = signing_policy(_algorithm(app), key_file.read_text())
        if not _is_configured(app, learned):
            said = "put this in the place of the app's [apps.policy], and start anew"
            yield Step(what=said, configuration=_configuration(app, str(key_file)))


def _policy(
    app: XurrentApp,
    client: Client,
    place: Place,
    policies: list[Document],
    webhooks: list[Document],
) -> Generator[Step, None, str]:
    """The id of the policy to sign with: the one whose key we have, else a new one."""
    for known in map(_id, policies):
        path = place.keys.find(_file_name(app, known))
        if path is not None:
            yield Step(what=f"the webhook policy {known} is there", key_file=str(path))
            return known
    used = {_policy_of(webhook) for webhook in webhooks}
    in_use_here = {_policy_of(webhook) for webhook in webhooks if _is_ours(webhook, place)}
    for known in map(_id, policies):
        if known in in_use_here:
            yield Step(what=f"the webhook policy {known} is in use; its key is taken as configured")
            return known
    for one in policies:
        if one.get("name") == POLICY_NAME and _id(one) not in used:
            # Its key was shown once, and whoever asked for it did not live to keep it.
            client.webhook_policies.delete(_id(one))
            said = f"deleted the webhook policy {_id(one)}, whose key nobody has kept"
            yield Step(what=said, changed=True)
    made = client.webhook_policies.create(_policy_fields(app))
    path = place.keys.keep(_file_name(app, _id(made)), _public_key(app, made))
    said = f"made the webhook policy {_id(made)}; its public key, shown once, is in {path}"
    yield Step(what=said, changed=True, key_file=str(path))
    return _id(made)


def _webhook(
    app: XurrentApp,
    client: Client,
    place: Place,
    event: str,
    policy: str,
    webhooks: list[Document],
) -> Step:
    uri = f"{place.hooks}/{app.name}"
    signed = {"webhook_policy": {"id": int(policy)}, "disabled": False}
    for known in webhooks:
        # One webhook brings the secrets of all of the provider's apps, whichever hook it calls.
        fits = _is_ours(known, place) if event == SECRETS_UPDATE else known.get("uri") == uri
        if known.get("event") != event or not fits:
            continue
        if _policy_of(known) == policy and not known.get("disabled"):
            return Step(what=f"the webhook {_id(known)} for {event} is there")
        client.webhooks.update(_id(known), signed)
        return Step(what=f"mended the webhook {_id(known)} for {event}", changed=True)
    name = f"Innkeeper {app.name} {event}"
    made = client.webhooks.create({"name": name, "event": event, "uri": uri, **signed})
    return Step(what=f"made the webhook {_id(made)} for {event}", changed=True)


def _id(document: Mapping[str, Any]) -> str:
    try:
        return object_id(dict(document))
    except ValueError as error:
        raise Down(f"a webhook or policy: {error}") from None


def _policy_of(webhook: Document) -> str | None:
    policy = webhook.get("webhook_policy")
    return _id(policy) if isinstance(policy, dict) else None


def _is_ours(webhook: Document, place: Place) -> bool:
    uri = str(webhook.get("uri", ""))
    return uri.startswith(f"{place.hooks}/") and "?" not in uri


def _algorithm(app: XurrentApp) -> str:
    return (app.policy.algorithm if app.policy else None) or _DEFAULT_ALGORITHM


def _policy_fields(app: XurrentApp) -> Document:
    fields: Document = {"name": POLICY_NAME, "jwt_alg": _algorithm(app).lower()}
    if app.policy and app.policy.audience:
        fields["jwt_audience"] = app.policy.audience
    if app.claim_expires_in:
        fields["jwt_claim_expires_in"] = max(1, round(app.claim_expires_in / 60))
    return fields


def _public_key(app: XurrentApp, policy: Document) -> str:
    """The public half of what was shown: for ES512 that was once a private key."""
    shown = next((policy[name] for name in _KEYS if isinstance(policy.get(name), str)), "")
    try:
        return signing_policy(_algorithm(app), shown).public_key
    except ValueError as error:
        raise Down(f"the new webhook policy's key: {error}") from None


def _file_name(app: XurrentApp, policy: str) -> str:
    return f"xurrent-{app.account}.{app.domain}-{policy}.pem"


def _is_configured(app: XurrentApp, learned: SigningPolicy) -> bool:
    policy = app.policy
    return isinstance(policy, SigningPolicy) and policy.fingerprint == learned.fingerprint


def _configuration(app: XurrentApp, key_file: str) -> str:
    lines = ["[apps.policy]", f'algorithm = "{_algorithm(app).lower()}"']
    lines.append(f'key_file = "{key_file}"')
    if app.policy and app.policy.audience:
        lines.append(f'audience = "{app.policy.audience}"')
    if app.claim_expires_in:
        lines.append(f'claim_expires_in = "{app.claim_expires_in:g}s"')
    return "\n".join(lines)
