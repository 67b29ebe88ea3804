"""The audit of a request as people read it."""
