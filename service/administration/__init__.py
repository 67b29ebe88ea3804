"""What administrators keep: people, the action catalog, notices, and what is running."""
