"""An app instance on Xurrent: what is known of it there, and what that means."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulator.signing import SigningPolicy
from simulator.world.customers import Customer
from simulator.world.offerings import Offering


@dataclass(slots=True, kw_only=True)
class Instance:
    """An app instance. `agreed`: the customer has said yes in this installation."""

    id: int
    offering: Offering
    customer: Customer
    created_at: datetime
    updated_at: datetime
    policy: SigningPolicy
    representative: str
    disabled: bool = False
    suspended: bool = False
    enabled_by_customer: bool = False
    suspension_comment: str | None = None
    custom_fields: list[dict[str, Any]] = field(default_factory=list)
    present: bool = True
    agreed: bool = False
    secrets: dict[str, str] = field(default_factory=dict)
    app_events: int = 0

    @property
    def status(self) -> str:
        """In the words of Innkeeper's register."""
        if not self.present:
            return "removed"
        if self.disabled or (self.agreed and not self.enabled_by_customer):
            return "disabled"
        if self.suspended:
            return "suspended"
        return "enabled" if self.enabled_by_customer else "pending"
