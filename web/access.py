"""Which access each page needs. Every page has a line here; docs/security.md describes the same rules.

Rules that need more than a person's access are in the core and in `service`, as for the routes of the API.
"""

from __future__ import annotations

from typing import Final

from api.access import ASK, AUDIT, EVERYBODY, NOT_AUDITORS, OPERATE

PUBLIC: Final = frozenset({"public"})
"""Pages that need no session."""
LOGGED_IN: Final = frozenset({"logged in"})
"""Pages for whoever is logged in, whatever their access is."""

_DESIGN: Final = frozenset({"designer", "admin"})
_READ_DRAFTS: Final = _DESIGN | {"auditor"}

PAGES: Final[dict[str, frozenset[str]]] = {
    "GET /": EVERYBODY,
    "POST /tasks/decide": NOT_AUDITORS,
    "POST /tasks/delegate": NOT_AUDITORS,
    "GET /views": EVERYBODY,
    "POST /views": EVERYBODY,
    "POST /views/{view_id}": EVERYBODY,
    "GET /tasks/{task_id}": EVERYBODY,
    # For approvers, and for designers who own the process of the task; service.commands checks that.
    "POST /tasks/{task_id}/decide": NOT_AUDITORS,
    "POST /tasks/{task_id}/approvers": NOT_AUDITORS,
    "GET /tasks/{task_id}/consequences": NOT_AUDITORS,
    "POST /tasks/{task_id}/undo": NOT_AUDITORS,
    "GET /tasks/{task_id}/receipt": EVERYBODY,
    "GET /evidence": AUDIT,
    "POST /evidence": AUDIT,
    "GET /evidence/{pack_id}/file": AUDIT,
    "GET /operations": OPERATE,
    "GET /operations/acts": AUDIT,
    "POST /operations/requests": OPERATE,
    "GET /operations/deliveries": OPERATE,
    "POST /operations/deliveries": OPERATE,
    "GET /admin": OPERATE,
    "GET /admin/{identity}": OPERATE,
    "GET /admin/{identity}/rows/{pk}": OPERATE,
    "GET /admin/{identity}/edit/{pk}": OPERATE,
    "POST /admin/{identity}/edit/{pk}": OPERATE,
    "GET /operations/webhooks": OPERATE,
    "POST /operations/webhooks": OPERATE,
    "GET /operations/webhooks/new": OPERATE,
    "GET /operations/webhooks/{webhook_id}": OPERATE,
    "GET /operations/webhooks/{webhook_id}/switch": OPERATE,
    "GET /operations/webhooks/{webhook_id}/secret": OPERATE,
    "POST /operations/webhooks/{webhook_id}/secret": OPERATE,
    "GET /operations/webhooks/{webhook_id}/remove": OPERATE,
    "POST /operations/webhooks/{webhook_id}/remove": OPERATE,
    "POST /operations/webhooks/{webhook_id}/switch": OPERATE,
    "POST /operations/webhooks/{webhook_id}/deliveries": OPERATE,
    "GET /operations/webhooks/{webhook_id}/replay": OPERATE,
    "POST /operations/webhooks/{webhook_id}/replay": OPERATE,
    "GET /operations/people": OPERATE,
    "GET /operations/people/{person_id}": OPERATE,
    "GET /operations/people/{person_id}/edit": OPERATE,
    "POST /operations/people/{person_id}/edit": OPERATE,
    "POST /operations/people/{person_id}/away": OPERATE,
    "GET /operations/people/{person_id}/sessions": OPERATE,
    "POST /operations/people/{person_id}/sessions": OPERATE,
    "GET /operations/groups": OPERATE,
    "GET /operations/absences": OPERATE,
    "GET /operations/tokens": OPERATE,
    "GET /operations/tokens/{token_id}": OPERATE,
    "POST /operations/tokens/{token_id}": OPERATE,
    "POST /tasks/{task_id}/claim": NOT_AUDITORS,
    "POST /tasks/{task_id}/release": NOT_AUDITORS,
    "POST /tasks/{task_id}/delegate": NOT_AUDITORS,
    "GET /requests": EVERYBODY,
    "GET /requests/new": ASK,
    "GET /requests/new/{template_id}": ASK,
    "POST /requests/new/{template_id}": ASK,
    "POST /requests/new/{template_id}/files": ASK,
    "GET /requests/{request_id}": EVERYBODY,
    "GET /requests/{request_id}/edit": NOT_AUDITORS,
    "POST /requests/{request_id}/edit": NOT_AUDITORS,
    "POST /requests/{request_id}/comment": NOT_AUDITORS,
    "GET /requests/{request_id}/people": NOT_AUDITORS,
    "POST /requests/{request_id}/questions": NOT_AUDITORS,
    "POST /requests/{request_id}/questions/{n}": NOT_AUDITORS,
    "POST /requests/{request_id}/remind": NOT_AUDITORS,
    "POST /requests/{request_id}/watch": EVERYBODY,
    "POST /requests/{request_id}/withdraw": NOT_AUDITORS,
    "POST /requests/{request_id}/attachments": NOT_AUDITORS,
    "POST /requests/{request_id}/cancel": NOT_AUDITORS,
    "GET /requests/{request_id}/waiting": EVERYBODY,
    "GET /requests/{request_id}/audit": EVERYBODY,
    "GET /requests/{request_id}/process": EVERYBODY,
    "GET /requests/{request_id}/ahead": EVERYBODY,
    "GET /requests/{request_id}/forecast": EVERYBODY,
    "GET /requests/{request_id}/process.svg": EVERYBODY,
    "GET /processes/{template_id}": EVERYBODY,
    "GET /processes/{template_id}/process.svg": EVERYBODY,
    # Whose they are, and whose requests a mode may use, is checked by service.simulations.
    "GET /simulations": EVERYBODY,
    "GET /simulations/new": EVERYBODY,
    "GET /simulations/new/{template_id}": EVERYBODY,
    "POST /simulations/new/{template_id}": EVERYBODY,
    "GET /simulations/compare": EVERYBODY,
    "GET /simulations/{simulation_id}": EVERYBODY,
    "GET /simulations/{simulation_id}/events": EVERYBODY,
    "POST /simulations/{simulation_id}/cancel": EVERYBODY,
    "GET /simulations/{simulation_id}/branches/{branch_id}": EVERYBODY,
    "GET /simulations/{simulation_id}/requests/{request_id}": EVERYBODY,
    # For whom a signature is asked of; service.identity.step_up checks that.
    "GET /sign/{step_up_id}": NOT_AUDITORS,
    "POST /sign/{step_up_id}": NOT_AUDITORS,
    "GET /sign/{step_up_id}/log-in": NOT_AUDITORS,
    "GET /drafts": _READ_DRAFTS,
    "POST /drafts": _DESIGN,
    "GET /drafts/{draft_id}": _READ_DRAFTS,
    "POST /drafts/{draft_id}": _DESIGN,
    "GET /drafts/{draft_id}/findings": _READ_DRAFTS,
    "GET /drafts/{draft_id}/export": _READ_DRAFTS,
    "GET /drafts/{draft_id}/try": _DESIGN,
    "POST /drafts/{draft_id}/try": _DESIGN,
    "GET /drafts/{draft_id}/publish": _READ_DRAFTS,
    "POST /drafts/{draft_id}/publish": _DESIGN,
    "GET /drafts/{draft_id}/move": _DESIGN,
    # The answer shows every request, so it is for admins, as in the API.
    "POST /drafts/{draft_id}/move": OPERATE,
    # Of those who design and audit nothing: the costs of their own processes; service.costs.report says which.
    "GET /costs": EVERYBODY,
    "GET /suggestions": _READ_DRAFTS,
    "POST /suggestions": _DESIGN,
    "GET /suggestions/{suggestion_id}": _READ_DRAFTS,
    "GET /suggestions/{suggestion_id}/accept": _DESIGN,
    "POST /suggestions/{suggestion_id}/accept": _DESIGN,
    "GET /suggestions/{suggestion_id}/reject": _DESIGN,
    "POST /suggestions/{suggestion_id}/reject": _DESIGN,
    "POST /suggestions/{suggestion_id}/draft": _DESIGN,
    "GET /me": EVERYBODY,
    "GET /me/passkeys": EVERYBODY,
    "POST /me/passkeys": EVERYBODY,
    "POST /me/passkeys/{passkey_id}": EVERYBODY,
    "POST /me/away": EVERYBODY,
    "GET /me/tokens/{token_id}": EVERYBODY,
    "POST /me/tokens/{token_id}": EVERYBODY,
    "POST /me/reading": EVERYBODY,
    "GET /live": EVERYBODY,
    "GET /live/rows": EVERYBODY,
    # For the person of the link, and where it says so, in their session; service.decision_links checks that.
    "GET /decide": PUBLIC,
    "POST /decide": PUBLIC,
    "POST /decide/undo": PUBLIC,
    "GET /login": PUBLIC,
    "POST /login": PUBLIC,
    "GET /login/oidc": PUBLIC,
    "GET /login/oidc/callback": PUBLIC,
    # Of the identity provider; a logout token that it has signed says who it is.
    "POST /login/oidc/logout": PUBLIC,
    "GET /login/{code}": PUBLIC,
    "POST /logout": LOGGED_IN,
    "POST /logout/everywhere": LOGGED_IN,
}


def rule_of(method: str, path: str) -> frozenset[str]:
    """Return who may open a page; raises LookupError for a page without a rule."""
    try:
        return PAGES[f"{method} {path}"]
    except KeyError:
        raise LookupError(f"say in web.access who may open {method} {path}") from None
