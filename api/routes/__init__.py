"""The routes, one module for each resource. A route parses a call, calls a use case and formats its answer."""
