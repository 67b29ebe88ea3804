"""What the page of a task shows: itself, what each decision leads to, and a link that decides."""
