"""Processes for heavy work on what others wrote."""
