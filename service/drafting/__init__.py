"""Drafts of blueprints from words: a language model writes them, and the proofs say whether they are sound."""
