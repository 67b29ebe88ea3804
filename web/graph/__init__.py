"""The drawing of a process: where its nodes stand, and the SVG of them."""
