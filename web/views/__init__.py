"""View models: what the pages show, made from what the use cases return."""
