"""What delay and people's work cost, as a page shows it."""
