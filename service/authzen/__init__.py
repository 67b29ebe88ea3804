"""The Access Request and Approval profile of AuthZEN, on requests that carry an action: docs/authzen.md."""
