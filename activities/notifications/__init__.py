"""Notifications: preferences and settings, channels, templates, and the delivery with its retries."""
