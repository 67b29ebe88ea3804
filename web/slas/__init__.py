"""The pages of SLAs: definitions with the figures of their windows, and breaches that are acknowledged."""
