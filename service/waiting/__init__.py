"""What a request waits for, why it is stuck, and why somebody is asked or not."""
