"""Canaries: a new version is given a share of the requests, compared with the old one, and reverted where it harms."""
