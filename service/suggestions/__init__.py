"""Suggestions: changes of processes that their past or a person proposes, and what is decided about them."""
