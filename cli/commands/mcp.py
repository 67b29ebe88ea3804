"""`placet mcp`: an MCP server with which agents ask for approvals, over stdio or streamable HTTP."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

import typer

from cli.terminal.output import EXIT_USAGE, err, progress
from placet.client import AsyncClient, ClientError, Retries
from placet.client.wire import place_of

_PROMPT = Retries(seconds=20)  # a model is told "unknown" before its client gives up


def mcp_command(
    transport: Annotated[
        Literal["stdio", "http"], typer.Option(help="How agents connect: by a pipe, or by streamable HTTP.")
    ] = "stdio",
    host: Annotated[str, typer.Option(help="For http: the address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="For http: the port to listen on.", min=1, max=65_535)] = 8430,
    url: Annotated[
        str | None, typer.Option(help="For http: the address by which agents reach it, if it is another one.")
    ] = None,
    issuer: Annotated[
        str | None, typer.Option(help="For http: who issues tokens; without it, Placet itself.", metavar="URL")
    ] = None,
) -> None:
    """Serve tools to agents by the Model Context Protocol: ask for an approval, wait for it, and claim it.

    It is a client of the API at PLACET_URL. Over stdio it acts with PLACET_TOKEN; over http each caller brings a bearer
    token of their own. It needs the extra `mcp` (`pip install 'placet[mcp]'`).
    """
    try:
        import mcp as _  # noqa: F401 - whether it is there
    except ImportError:
        err.print("The MCP SDK is not installed; run: pip install 'placet\\[mcp]'", style="red", soft_wrap=True)
        raise typer.Exit(EXIT_USAGE) from None
    try:
        if transport == "stdio":
            _serve_stdio()
        else:
            _serve_http(host, port, url or f"http://{host}:{port}", issuer)
    except ClientError as error:
        err.print(error.message, style="red", markup=False, soft_wrap=True)
        raise typer.Exit(EXIT_USAGE) from None


def _serve_stdio() -> None:
    from cli.mcp_server.server import mcp_server

    place = place_of()
    mcp_server(lambda: AsyncClient(place.url, place.token, retries=_PROMPT)).run("stdio")


def _serve_http(host: str, port: int, url: str, issuer: str | None) -> None:
    import uvicorn
    from mcp.server.auth.middleware.auth_context import get_access_token
    from mcp.server.transport_security import TransportSecuritySettings

    from cli.mcp_server.identity import PlacetTokens, auth_settings
    from cli.mcp_server.server import mcp_server

    # No token of this process is used: each caller's own is.
    placet = place_of(token="of-the-caller").url  # noqa: S106 - it stands for none
    resource = f"{url.rstrip('/')}/mcp"

    def connect() -> AsyncClient:
        held = get_access_token()
        return AsyncClient(placet, held.token if held is not None else "none", retries=_PROMPT)

    server = mcp_server(
        connect, auth=auth_settings(resource=resource, issuer=issuer or placet), tokens=PlacetTokens(placet)
    )
    # Only these names: a page in somebody's browser cannot reach it under another one.
    names = [urlsplit(url).netloc, f"{host}:{port}"]
    security = TransportSecuritySettings(allowed_hosts=names, allowed_origins=[url.rstrip("/")])
    progress(f"MCP at {resource}")
    uvicorn.run(server.streamable_http_app(transport_security=security), host=host, port=port, log_level="warning")
