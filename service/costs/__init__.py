"""Costs: of one request, and of all requests of a period."""
