"""Canaries as pure functions: which version a request is given, and what can be said at any time of how both fare."""
