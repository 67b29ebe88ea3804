"""The editor of drafts: forms for each part of a blueprint, beside its drawing and what is found about it."""
