"""The pages of drafts: editing them, trying them out, and publishing them."""
