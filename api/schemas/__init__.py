"""The models of request bodies and of answers."""
