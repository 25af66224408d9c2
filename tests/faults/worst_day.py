"""A busy inn in which every secret is a canary, and everybody quotes what they were given.

The vendor's code, the marketplaces and a service that is posted to repeat it in their errors.
"""

from __future__ import annotations

import base64
import contextlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.faults.canaries import Canaries
from tests.faults.echoing import Echoing
from tests.processes import soon
from tests.system.marketplaces import (
    Account,
    Offering,
    app_event,
    curve_key,
    rebilly,
    rsa_key,
    xurrent_app,
)
from tests.system.running import Inn
from tests.system.speaking import Answer, ask

PROVIDER = Account(name="quay", domain="xurrent.invalid", key=rsa_key("quay"))
NOTES = Offering(provider=PROVIDER, reference="notes")
CUSTOMER = Account(
    name="lighthouse", domain=PROVIDER.domain, algorithm="ES256", key=curve_key("lighthouse")
)
KEY = "xurrent/notes/lighthouse"
HEADER_SAFE = '"\\/+=&%~'
HOOKS = {
    "never": '["secrets_updated", "app_event", "enabled"]',
    # What the others hold up for a while comes behind them.
    "breaks": '["enabled"]\napp = "notes"',
    "later": '["enabled"]\napp = "lamp"',
    "calls_home": '["app_event"]',
}
CLIENT_ID = "client-of-the-provider"
HEARD = {"client_secret", "provider's token", "api_key", "xandr password", "application 1"}
"""What the marketplaces are sent, sooner or later."""


class Scene:
    """An inn in which every secret is a canary, and all that was heard and seen of it.

    `secrets`: may stand nowhere. `personal`: of people, in bodies; who may ask for a delivery's
    content is told it. `facts`: what a marketplace states of an instance, which the register shows.
    """

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self.secrets, self.personal, self.facts = Canaries(rng), Canaries(rng), Canaries(rng)
        self.token = self.secrets.plain("INNKEEPER_API_TOKEN")
        self.secrets_token = self.secrets.plain("INNKEEPER_SECRETS_TOKEN")
        self.echoing = Echoing(CLIENT_ID, self.secrets.plain("provider's token"))
        self.inn = Inn(**self._environment(rng))
        self.inn.configure(_configuration(self.echoing.url))
        self.ids: dict[str, str] = {}
        self.bodies: dict[str, bytes] = {}

    def _environment(self, rng: random.Random) -> dict[str, str]:
        made = self.secrets
        key = made.raw("INNKEEPER_SECRET_KEYS", rng.randbytes(32))
        posting = made.plain("secret of posts").encode()
        return {
            "INNKEEPER_API_TOKEN": self.token,
            "INNKEEPER_SECRETS_TOKEN": self.secrets_token,
            "INNKEEPER_SECRET_KEYS": base64.b64encode(key).decode(),
            "XURRENT_SECRET": made.odd("client_secret"),
            "REBILLY_API_KEY": made.odd("api_key", HEADER_SAFE),
            "HOOK_PASSWORD": made.odd("hook password"),
            "LAMP_VALUE": made.odd("hook header", HEADER_SAFE),
            "XANDR_USER": "robot",
            "XANDR_PASSWORD": made.odd("xandr password"),
            "POST_SECRET": "whsec_" + base64.b64encode(posting).decode(),
            "PYTHONPATH": str(Path(__file__).parent / "spilling"),
        }

    def send(self, what: str, path: str, body: bytes, **headers: str) -> Answer:
        """Post a delivery."""
        self.bodies[what] = body
        answer = self.inn.hook(path, body, **headers)
        if answer.status == 202:
            self.ids[what] = answer.delivery
        return answer

    def ask(
        self, path: str, method: str = "GET", token: str | None = None, body: Any = None
    ) -> Any:
        """Ask the console."""
        url = f"http://127.0.0.1:{self.inn.ports['console']}{path}"
        headers = {"authorization": f"Bearer {token or self.token}"}
        content = None if body is None else json.dumps(body).encode()
        return ask(method, url, headers=headers, body=content)

    def heard(self) -> set[str]:
        """The places of the secrets that marketplaces and the posted service were sent."""
        found = self.secrets.found_in({"echo": b"\n".join(self.echoing.requests)})
        return {one.removesuffix(" in echo") for one in found}

    def all_fail(self) -> bool:
        """Whether a pass of each app with an API, a post and a customer's sign-in have failed."""
        apps = self.ask("/health").document["apps"]
        posted = any(one.startswith(b"POST /vendor") for one in self.echoing.requests)
        return posted and self.heard() >= HEARD and all(a["state"] == "failing" for a in apps)

    def until_folded(self) -> None:
        """Wait until the register knows all that came in."""
        done = b"\ninnkeeper_entries_pending 0.0"
        assert soon(lambda: done in self.ask("/metrics").body, 20), self.ask("/metrics").body


def _configuration(url: str) -> str:
    calls = "".join(
        f'[[follow_ups]]\nname = "{name}"\ncall = "spill_hooks:{name}"\non = {on}\n'
        for name, on in HOOKS.items()
    )
    return (
        f'[receiver]\npublic_url = "https://hooks.invalid"\n{xurrent_app(PROVIDER, "notes")}'
        f'[apps.api]\nclient_id = "{CLIENT_ID}"\nclient_secret_env = "XURRENT_SECRET"\n'
        f'base_url = "{url}/xurrent"\noauth_url = "{url}/oauth"\nreconcile = "1s"\n'
        '[[apps]]\nplatform = "rebilly"\nname = "ledger"\nreference = "app_1"\n[apps.credentials]\n'
        'type = "basic"\nusername = "rebilly"\npassword_env = "HOOK_PASSWORD"\n'
        f'[apps.api]\napi_key_env = "REBILLY_API_KEY"\nbase_url = "{url}/organizations/org_0"\n'
        '[[apps]]\nplatform = "rebilly"\nname = "lamp"\nreference = "app_2"\n[apps.credentials]\n'
        'type = "header"\nname = "X-Lamp"\nvalue_env = "LAMP_VALUE"\n'
        '[[apps]]\nplatform = "xandr"\nname = "reef"\nreference = "20"\npoll = "1s"\n'
        '[apps.api]\nusername_env = "XANDR_USER"\npassword_env = "XANDR_PASSWORD"\n'
        f'base_url = "{url}/xandr"\n{calls}'
        '[[follow_ups]]\nname = "tell"\non = ["secrets_updated"]\n'
        f'post = "{url}/vendor"\nsecret_env = "POST_SECRET"\n'
    )


@contextlib.contextmanager
def worst_day(seed: int) -> Iterator[Scene]:
    """A scene in which all deliveries are in, and all that can go wrong has gone wrong."""
    scene = Scene(seed)
    with contextlib.ExitStack() as ending:
        ending.callback(scene.inn.end)
        ending.enter_context(scene.echoing)
        scene.inn.start()
        _tell(scene)
        _refuse(scene)
        scene.until_folded()
        assert soon(lambda: len(scene.ask("/dead_letters").document) >= 7, 30)
        assert soon(scene.all_fail, 30), (scene.heard(), scene.ask("/health").document)
        yield scene


def _tell(scene: Scene) -> None:
    """What is taken in: secrets, in each block and of each kind, and people's data."""
    made, person = scene.secrets, scene.personal
    for number, policy in enumerate((_private_policy(made), CUSTOMER.policy)):
        blocks = {
            "application": {"client_id": "c", "client_secret": made.odd(f"application {number}")},
            "authorization_application": {"client_secret": made.odd(f"authorization {number}")},
            "secrets": {
                "pin": made.odd(f"secrets {number}"),
                "deep": {"list": [made.odd(f"nested {number}"), {"x": made.plain(f"d {number}")}]},
            },
        }
        body = NOTES.secrets_update(CUSTOMER.name, 2 + number, policy=policy, **blocks)
        assert scene.send(f"secrets {number}", "xurrent/notes", body).status == 202
    assert scene.send("created", "xurrent/notes", NOTES.create(
        CUSTOMER.name, 5, customer_representative={"email": scene.facts.odd("representative")},
    )).status == 202  # fmt: skip
    hook = f"xurrent/notes?account={CUSTOMER.name}"
    body = app_event(CUSTOMER, person.odd("app event"))
    assert soon(lambda: scene.send("app event", hook, body).status == 202, 5)
    code = made.plain("callback")
    callback = f"https://quay.xurrent.invalid/webhooks/1/verify?code={code}"
    scene.send(
        "handshake", "xurrent/notes", PROVIDER.signed("webhook.verify", {"callback": callback})
    )
    unrouted = Offering(provider=PROVIDER, reference="nobody's")
    said: dict[str, Any] = {
        "secrets": {"pin": made.odd("unrouted")},
        "by": person.odd("unrouted's person"),
    }
    scene.send("unrouted", "xurrent/notes", unrouted.secrets_update("reef", 9, **said))
    said = {"secrets": {"pin": made.odd("undecodable")}, "customer_account_id": 7}
    scene.send("undecodable", "xurrent/notes", NOTES.secrets_update("reef", 9, **said))
    for app, name, header in (("app_1", "ledger", _basic(scene)), ("app_2", "lamp", _lamp(scene))):
        body = rebilly(app, "org_7", "enabled", "2026-01-01T10:00:00Z", key=made.odd(f"{name} key"))
        document = json.loads(body)
        document["_embedded"]["applicationInstance"]["token"] = made.plain(f"{name} token")
        body = json.dumps(document).encode()
        assert scene.send(name, f"rebilly/{name}", body, **header).status == 202


def _refuse(scene: Scene) -> None:
    """What is refused: forged, out of place, with a wrong credential, and no token at all."""
    made = scene.secrets
    forger = Account(name="quay", domain=PROVIDER.domain, key=rsa_key("forger"))
    forged = Offering(provider=forger, reference="notes")
    body = forged.secrets_update("reef", 1, secrets={"pin": made.odd("forged")})
    assert scene.send("forged", "xurrent/notes", body).status == 401
    own = CUSTOMER.signed("app_instance.secrets-update", NOTES.payload(
        CUSTOMER.name, 9, {"secrets": {"pin": made.odd("not entitled")}}
    ))  # fmt: skip
    assert scene.send("own", f"xurrent/notes?account={CUSTOMER.name}", own).status == 401
    wrong = base64.b64encode(f"rebilly:{made.odd('wrong password')}".encode()).decode()
    body = rebilly("app_1", "org_7", "enabled", "2026-01-01T10:00:00Z", key=made.odd("refused key"))
    assert scene.send("wrong", "rebilly/ledger", body, authorization=f"Basic {wrong}").status == 401
    lamp = {"X-Lamp": made.odd("wrong header", HEADER_SAFE), "Cookie": made.plain("cookie")}
    assert scene.send("dark", "rebilly/lamp", body, **lamp).status == 401
    broken = json.dumps({"jwt": 7, "secrets": made.odd("malformed")}).encode()
    assert scene.send("malformed", "xurrent/notes", broken).status == 400
    query = f"xurrent/notes?token={scene.personal.plain('query')}"
    assert scene.send("query", query, b'{"jwt":"a.b.c"}').status == 401


def _private_policy(made: Canaries) -> dict[str, str]:
    """A policy whose block holds the private key, as 4me once did."""
    key = ec.generate_private_key(ec.SECP256R1())
    made.raw("private key", key.private_numbers().private_value.to_bytes(32, "big"))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {"algorithm": "es256", "public_key": pem}


def _basic(scene: Scene) -> dict[str, str]:
    pair = f"rebilly:{scene.inn.environment['HOOK_PASSWORD']}"
    return {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def _lamp(scene: Scene) -> dict[str, str]:
    return {"X-Lamp": scene.inn.environment["LAMP_VALUE"]}
