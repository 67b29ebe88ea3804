"""The pages of event logs of other systems: one is looked at, mapped, imported, and a process is suggested from it."""
