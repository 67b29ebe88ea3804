"""Pages of operations, for admins: how each part is, messages, webhooks, people, absences and tokens."""
