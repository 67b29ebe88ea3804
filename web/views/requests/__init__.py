"""What the page of a request shows: itself, its timeline, what people say, its files, and what is new."""
