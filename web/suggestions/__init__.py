"""The pages of suggestions: the list, and one with its evidence, what it changes, its backtest and its decision."""
