"""The pages of canaries: the list with the form of a new one, one with its intervals, and promoting or reverting it."""
