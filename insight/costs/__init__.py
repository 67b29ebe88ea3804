"""What delay and people's work cost, by process, stage and month."""
