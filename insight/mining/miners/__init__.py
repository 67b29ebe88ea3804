"""The miners: each looks for one kind of suggestion, and returns all that it tested with its p-value."""
