"""The engine as the use cases reach it: its client, the turns of those who call it, and the plans that it is given."""
