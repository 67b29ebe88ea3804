"""The transparency log over the heads of all audit chains: how it grows, what it proves, and whether it holds."""
