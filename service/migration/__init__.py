"""Running requests go on under another version of their process."""
