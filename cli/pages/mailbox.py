"""Web pages with the mails of an installation that has no mail server."""

from __future__ import annotations

from jinja2 import Environment
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from activities.notifications.channels.mailbox import Mailbox

_PAGES = Environment(autoescape=True)
_STYLE = "body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}td{padding:.2rem 1rem .2rem 0}"
_LIST = _PAGES.from_string(
    """<!doctype html><meta charset="utf-8"><title>Mailbox</title><style>{{ style }}</style>
<h1>Mailbox</h1><p>{{ mails|length }} mails, newest first. These mails have not left this machine. Set PLACET_SMTP_HOST
to send mails to a server.</p>
<table>{% for mail in mails|reverse %}<tr><td>{{ mail.received_at.strftime("%H:%M:%S") }}</td>
<td>{{ mail.to|join(", ") }}</td><td><a href="/{{ mail.number }}">{{ mail.subject }}</a></td></tr>{% endfor %}</table>
"""
)
# A link of a mail opens a page of its own: no page of Placet is shown in a frame.
_LINKS_APART = '<base target="_blank">'
_ONE = _PAGES.from_string(
    """<!doctype html><meta charset="utf-8"><title>{{ mail.subject }}</title>
<style>{{ style }} iframe{width:100%;height:36rem;border:1px solid #ccc} pre{white-space:pre-wrap}</style>
<p><a href="/">All mails</a></p><h1>{{ mail.subject }}</h1>
<p>From {{ mail.sender }} to {{ mail.to|join(", ") }}</p>
<iframe title="The mail" sandbox="allow-popups allow-popups-to-escape-sandbox"
srcdoc="{{ links_apart }}{{ mail.html }}"></iframe>
<h2>As text</h2><pre>{{ mail.text }}</pre>
"""
)


def mailroom(mailbox: Mailbox) -> Starlette:
    """Return an application that shows the mails of the mailbox."""

    def everything(_request: Request) -> HTMLResponse:
        return HTMLResponse(_LIST.render(mails=mailbox.heads(), style=_STYLE))

    def one(request: Request) -> HTMLResponse:
        found = mailbox.find(request.path_params["number"])
        if found is None:
            return HTMLResponse("There is no such mail.", status_code=404)
        return HTMLResponse(_ONE.render(mail=found, style=_STYLE, links_apart=_LINKS_APART))

    return Starlette(routes=[Route("/", everything), Route("/{number:int}", one)])
