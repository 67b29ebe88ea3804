"""Decisions that people take in a chat: who sent a call, whom it stands for, and what comes of it."""
