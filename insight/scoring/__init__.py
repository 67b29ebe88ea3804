"""A scorer of suggestions: how likely it is that one is accepted, learned from those that were."""
