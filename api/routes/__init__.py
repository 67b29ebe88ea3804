"""The routes, one module for each resource. They parse, call and translate back; no rule lives here."""
