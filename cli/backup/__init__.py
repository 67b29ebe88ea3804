"""Back-ups of an installation: what they hold, how they are made while it runs, and how they are restored."""
