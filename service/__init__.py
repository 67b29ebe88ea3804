"""The use cases: what people, programs and the command line do with Placet, without HTTP and without a terminal.

`api/`, `cli/` and `worker/` call these functions and translate what comes of them; no rule stands there. They raise
errors of `placet.errors`.
"""
