"""The pages over the stored tables, for admins: what is stored, as it is stored."""
