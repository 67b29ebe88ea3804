"""What a release has to be: one version, the same packages each time, and a wheel that runs outside of the repository.

    python -m tests.release [--tag v0.1.0] [--demo]

says it of this checkout. `make release-check` runs it with the demo.
"""
