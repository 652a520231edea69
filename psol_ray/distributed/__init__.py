"""Ray: who runs what where. Nothing below this layer imports it."""

import os

# Of a node that is lost Ray prints that it is, and besides the last twenty lines of its log: its own state. Ray reads
# this while it is imported, which the modules of this package do after it.
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "^Raylet is terminated")
