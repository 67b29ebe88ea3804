"""The pages of operations: whether everything runs, what to do where it does not, and what could not be delivered."""
