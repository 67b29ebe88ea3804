"""What `placet verify` does with what somebody has kept: receipts and checkpoints, and with the log."""
