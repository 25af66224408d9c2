"""What a run of the simulator is made of: who listens where, how much goes wrong, how fast.

Read once by `__main__` or a test, then passed down. Times in seconds.
"""

from __future__ import annotations

import msgspec

ACCOUNT = "wdc"
"""The provider's account on Xurrent."""
DOMAIN = "xurrent.example"
OWNER = "org_vendor"
"""The owner's organization on Rebilly."""

CLIENT_ID, CLIENT_SECRET = "simulated-client", "simulated-client-secret"
API_KEY = "simulated-api-key"
HOOK_USER, HOOK_PASSWORD = "rebilly", "simulated-hook-password"
XANDR_USER, XANDR_PASSWORD = "simulated-user", "simulated-password"


class Rates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often deliveries go wrong: shares between 0 and 1.

    `disorder`: how many deliveries one may be overtaken by. `delayed`: by up to `delay_seconds`.
    `elsewhere`: sent to the hook of another app of the provider. `small`: Rebilly bodies by an
    owner's own template.
    """

    dropped: float = 0.0
    duplicated: float = 0.0
    disorder: int = 0
    delayed: float = 0.0
    delay_seconds: float = 5.0
    elsewhere: float = 0.0
    small: float = 0.0


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How deliveries are sent. `scale` shortens the intervals between retries, nothing else."""

    answer_within: float = 10.0
    retry_intervals: tuple[float, ...] = (5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)
    scale: float = 0.002
    switch_off_after: int = 20
    concurrency: int = 8


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `tls_port`: None switches TLS, and with it discovery and handshakes, off.

    `algorithms`: of the provider's two apps. `connected`: webhooks are there from the start.
    `keeps_disabled`: whether Rebilly still shows an instance that is disabled.
    """

    seed: int = 1
    host: str = "127.0.0.1"
    port: int = 9100
    tls_port: int | None = 9143
    receiver: str = "http://127.0.0.1:8000"
    customers: int = 20
    algorithms: tuple[str, str] = ("rs256", "es512")
    connected: bool = True
    keeps_disabled: bool = True
    rates: Rates = Rates()
    pace: Pace = Pace()

    @property
    def base(self) -> str:
        """Where the APIs are."""
        return f"http://{self.host}:{self.port}"

    @property
    def tls_base(self) -> str | None:
        """Where issuers publish their keys and are called back."""
        return None if self.tls_port is None else f"https://{self.host}:{self.tls_port}"
