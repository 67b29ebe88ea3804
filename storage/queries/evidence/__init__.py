"""What evidence packs are made of, and the list of them."""
