"""OpenID Connect: people log in at the organisation's identity provider, and programs call with its JWTs."""
