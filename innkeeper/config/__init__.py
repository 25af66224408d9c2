"""The configuration: read once in a process's entry into a frozen object, and passed down."""

from innkeeper.config.apps import (
    App,
    Basic,
    Discovery,
    Header,
    NoCredential,
    RebillyApi,
    RebillyApp,
    Removals,
    XandrApi,
    XandrApp,
    XurrentApi,
    XurrentApp,
)
from innkeeper.config.faults import ConfigFaults, Fault
from innkeeper.config.hosts import Bind
from innkeeper.config.keys import require_keys, require_token
from innkeeper.config.loading import load_config
from innkeeper.config.sections import (
    Config,
    ConsoleSection,
    FollowUp,
    MetricsSection,
    OutgoingSection,
    QueueSection,
    ReceiverSection,
    RetentionSection,
    StoreSection,
    WorkersSection,
)

__all__ = [
    "App",
    "Basic",
    "Bind",
    "Config",
    "ConfigFaults",
    "ConsoleSection",
    "Discovery",
    "Fault",
    "FollowUp",
    "Header",
    "MetricsSection",
    "NoCredential",
    "OutgoingSection",
    "QueueSection",
    "RebillyApi",
    "RebillyApp",
    "ReceiverSection",
    "Removals",
    "RetentionSection",
    "StoreSection",
    "WorkersSection",
    "XandrApi",
    "XandrApp",
    "XurrentApi",
    "XurrentApp",
    "load_config",
    "require_keys",
    "require_token",
]
