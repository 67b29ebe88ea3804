"""Identity: log-in, browser sessions, API tokens, rate limits, and people from an identity provider."""
