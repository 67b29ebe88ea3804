"""Drafts of blueprints: what people write together before it is published as a version of a process."""
