"""The documentation as a web site: `make docs` assembles the pages of docs/, writes the reference, and builds both."""
