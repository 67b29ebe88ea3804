"""`placet init`: the files with which a company's own folder of blueprints begins."""
