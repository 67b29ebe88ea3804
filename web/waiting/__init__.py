"""What a request waits for, and why somebody is asked or not, as pages say it."""
