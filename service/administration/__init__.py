"""Administration: people, the action catalog, notifications, webhooks and health."""
