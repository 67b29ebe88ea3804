"""Forecasts: until when an open request is finished, and whether it misses its deadline, learned from past requests.

`survival` and `delays` say how long people take, `futures` lets a request go on from its live state through the core,
`distribution` and `calibration` make a statement of that whose coverage holds, and `forecaster` puts them together.
Nothing here does I/O, reads a clock, or draws anything that its seed does not decide.
"""
