"""Ray: who runs what where. Nothing below this layer imports it."""
