"""The HTTP client for webhooks and actions. It guards where calls go, and bounds their time, length and redirects."""
