"""Chaos on real processes: API, workers, notifications and engine on PostgreSQL, under faults that a seed chooses."""
