"""Signing a decision: the page on which somebody confirms who they are, and the passkeys that they do it with."""
