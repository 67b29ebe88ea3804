"""Event logs of other systems: previewed, kept, and made into blueprints."""
