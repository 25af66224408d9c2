"""Where and how a customer's own account is called, once there is a token for it.

Made by each marketplace's `acting`, used by whoever calls in the customer's name.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from innkeeper.platforms.api_answers import Judge


class CustomerSite(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's account. `headers`: of every call. `judge`: reads what its answers mean.

    The token goes along as `Authorization: Bearer`.
    """

    base_url: str
    headers: Mapping[str, str] = {}
    judge: Judge
