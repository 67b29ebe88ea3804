"""The calls of chats: what Slack and Teams send, and what they are answered."""
