"""The workers: RQ jobs that fold the log, do what stands in the outboxes, and sweep."""
