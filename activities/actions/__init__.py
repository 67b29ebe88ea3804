"""Catalog actions: what a process does besides asking people. Each executor is one way to carry them out."""
