"""What `innkeeper doctor` asks: are the running surroundings fit to keep what a 202 promises?

`examining` runs the checks, each other module makes some of them. Changes nothing but for what a
real sign-in changes.
"""

from innkeeper.operations.doctor.examining import examine
from innkeeper.operations.doctor.keys import note_backup

__all__ = ["examine", "note_backup"]
