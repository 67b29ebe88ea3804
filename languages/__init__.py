"""What every room that speaks to people needs of a language: catalogues of texts, and times, durations and numbers."""
