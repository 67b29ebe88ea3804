"""Event logs of other systems: read in a stream, assembled into cases, and understood as a history of decisions."""
