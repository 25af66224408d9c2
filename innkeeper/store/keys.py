"""The store's key layout: every key that Innkeeper writes, and what it holds.

All keys of a partition share its hash tag, so that one script may touch them in a cluster.
"""

from __future__ import annotations

from functools import lru_cache

from innkeeper.store.partitions import TAGS

SCHEMA = "ik:schema"
"""string: the number of migrations that this store has seen."""
EPOCH = "ik:epoch"
"""string: a random id, made with the store; another one means another store."""
DIGEST_KEY = "ik:digest-key"
"""string: the key of secrets' digests, encrypted."""
TRIMMED = "ik:trimmed"
"""string: somebody has trimmed the log within the last minute."""
TOKENS = "ik:token:"
"""+ name, string: a marketplace's access token, encrypted, until it runs out; + name + `:lease`,
string: whoever signs in at present; + name + `:attempts`, list: when that was tried, newest first,
in milliseconds."""


class PartitionKeys:
    """The keys of one partition. `{t}` is its tag."""

    def __init__(self, partition: int) -> None:
        """Name the keys of `partition`."""
        self.prefix = prefix = f"ik:{{{TAGS[partition]}}}:"
        self.log = prefix + "log"
        """stream: the entries, in order of arrival."""
        self.events = prefix + "events"
        """hash: delivery (16 bytes) to its encrypted event, as long as its entry is kept."""
        self.bodies = prefix + "bodies"
        """hash: delivery (16 bytes) to what came over the wire, encrypted, as long likewise."""
        self.cursor = prefix + "cursor"
        """string: the stream id of the last folded entry."""
        self.counts = prefix + "counts"
        """hash: accepted, duplicate, applied, dead, trimmed, forgotten (entries); bytes (of the
        log)."""
        self.claims = prefix + "claims:"
        """+ period, hash: claim to the id of the delivery that holds it; own id to stream id. A
        period is 14 days, and is dropped whole a period after its end."""
        self.outcomes = prefix + "outcomes"
        """hash: delivery (16 bytes) to what became of it, as long as its entry is kept."""
        self.trouble = prefix + "trouble"
        """string: the entry that cannot be folded, how often it failed; why it stopped (JSON)."""
        self.instance = prefix + "i:"
        """+ instance, hash: record (JSON), created and updated (microseconds), entry (the stream id
        of the last folded one)."""
        self.base = prefix + "base"
        """hash: instance to its record (JSON) as the trimmed entries leave it, while the log holds
        newer ones; or `!` and why that cannot be told."""
        self.forgotten = prefix + "forgotten"
        """hash: keyed digest of a forgotten instance's name to when that was (JSON)."""
        self.secrets = prefix + "s:"
        """+ instance, hash: name and digest to the encrypted value."""
        self.policy = prefix + "p:"
        """+ instance, string: the signing policies in force (JSON), for receivers."""
        self.transitions = prefix + "t:"
        """+ instance, list: its transitions (JSON), oldest first."""
        self.notices = prefix + "n:"
        """+ instance, list: the newest notices (JSON), oldest first."""
        self.by_id = prefix + "by:id"
        """sorted set, all scores 0: every instance."""
        self.by_created = prefix + "by:created"
        """sorted set: instance by time of creation in microseconds."""
        self.by_updated = prefix + "by:updated"
        """sorted set: instance by time of the last update in microseconds."""
        self.by_status = prefix + "by:status:"
        """+ status, sorted set, all scores 0: the instances in that status."""
        self.with_policy = prefix + "by:policy"
        """sorted set, all scores 0: the instances whose signing policy was learned."""
        self.due = prefix + "due:"
        """+ bell, sorted set: lane by its next try, or the end of its lease, in milliseconds."""
        self.lane = prefix + "l:"
        """+ lane, hash: fence of the present holder; blocked, the work that blocks it."""
        self.queue = prefix + "q:"
        """+ lane, list: ids of its work, the next first."""
        self.work = prefix + "w:"
        """+ id, hash: spec (JSON), state, attempts, first_at, at, error; lost, attempts that nobody
        settled."""
        self.fence = prefix + "fence"
        """string: the last fence number given out."""
        self.pins = prefix + "pins"
        """sorted set: unfinished work and dead letters by the entry's time, kept from trimming."""
        self.dead = prefix + "dead"
        """sorted set: dead letters by time in milliseconds."""
        self.dead_records = prefix + "dead:records"
        """hash: dead letter to its record (JSON)."""
        self.passes = prefix + "pass:"
        """+ app, string: how its passes stand (JSON); + app + `:lease`, string: who is at one."""
        self.last = prefix + "last"
        """sorted set: app (`platform/app`) by the time of its last delivery in milliseconds."""
        self.seen = prefix + "seen:"
        """+ app:number, set: the accounts that a pass under way has seen."""
        self.rejected = prefix + "rejected:"
        """+ app:reason, stream: refused deliveries, a ring; + `new:` and a random id: one that is
        being encrypted anew."""
        self.rejected_bytes = prefix + "rejected:bytes"
        """hash: app:reason to the bytes in its ring."""
        self.rejected_rings = prefix + "rejected:rings"
        """set: the rings (app:reason) that hold anything."""


@lru_cache(maxsize=len(TAGS))
def keys_of(partition: int) -> PartitionKeys:
    """The keys of a partition, made once."""
    return PartitionKeys(partition)
