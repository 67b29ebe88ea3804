"""Evidence packs: archives that show an auditor how a process was followed in a period, and that verify offline."""
