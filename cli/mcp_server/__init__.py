"""The MCP server: agents ask for approvals, wait for them and claim them. It is a client of the HTTP API."""
