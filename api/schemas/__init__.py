"""What the calls take and answer: one model for each body, one for each thing that is shown."""
