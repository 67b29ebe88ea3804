"""Forms: their fields from a blueprint's variables or a stage's JSON Schema, and the values that come back."""
