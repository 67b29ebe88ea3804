"""Catalog actions: what a process does to the world besides asking people."""
