"""The one way to call somebody else's server over HTTP."""
