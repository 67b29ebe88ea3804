"""HTTP for all routes: authentication, bodies, idempotency, errors, connections and shutdown."""
