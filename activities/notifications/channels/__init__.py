"""Channels: mail, chat, SMS and webhooks, each with what it needs to send one message."""
