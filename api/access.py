"""Which access each route needs. Every authenticated route has a line here; it is checked before the body is read.

Rules that need more than a person's access (whose request it is, who has the task) are in the core, in
`service.visibility` and in `service.commands`. docs/security.md describes the same rules.
"""

from __future__ import annotations

from typing import Final

from service.principal import ACCESS

EVERYBODY: Final = frozenset(ACCESS)
NOT_AUDITORS: Final = EVERYBODY - {"auditor"}  # auditors only read
ASK: Final = frozenset({"requester", "admin"})
AUDIT: Final = frozenset({"auditor", "admin"})
_DESIGN: Final = frozenset({"designer", "admin"})
_SEE_DRAFTS: Final = frozenset({"designer", "auditor", "admin"})
OPERATE: Final = frozenset({"admin"})

RULES: Final[dict[str, frozenset[str]]] = {
    "POST /workflow/process-templates/": _DESIGN,
    "GET /workflow/process-templates/": EVERYBODY,
    "POST /workflow/process-templates/import_blueprint/": _DESIGN,
    "POST /workflow/process-templates/import_bpmn/": _DESIGN,
    "POST /workflow/process-templates/import_dmn/": _DESIGN,
    "POST /workflow/process-templates/check/": EVERYBODY,
    "POST /workflow/process-templates/draft/": _DESIGN,
    "GET /workflow/process-templates/schema/": EVERYBODY,
    "GET /workflow/process-templates/{template_id}/": EVERYBODY,
    "PUT /workflow/process-templates/{template_id}/": _DESIGN,
    "GET /workflow/process-templates/{template_id}/export/": EVERYBODY,
    "GET /workflow/process-templates/{template_id}/diff/": EVERYBODY,
    "POST /workflow/process-templates/{template_id}/publish/": _DESIGN,
    "POST /workflow/process-templates/{template_id}/deprecate/": _DESIGN,
    "POST /workflow/process-templates/{template_id}/migrate/": OPERATE,
    "POST /workflow/blueprint-drafts/": _DESIGN,
    "GET /workflow/blueprint-drafts/": _SEE_DRAFTS,
    "POST /workflow/blueprint-drafts/import/": _DESIGN,
    "GET /workflow/blueprint-drafts/{draft_id}/": _SEE_DRAFTS,
    "PUT /workflow/blueprint-drafts/{draft_id}/": _DESIGN,
    "GET /workflow/blueprint-drafts/{draft_id}/analysis/": _SEE_DRAFTS,
    "GET /workflow/blueprint-drafts/{draft_id}/acts/": _SEE_DRAFTS,
    "GET /workflow/blueprint-drafts/{draft_id}/export/": _SEE_DRAFTS,
    "POST /workflow/blueprint-drafts/{draft_id}/explore/": _DESIGN,
    "POST /workflow/blueprint-drafts/{draft_id}/rehearse/": _DESIGN,
    "POST /workflow/blueprint-drafts/{draft_id}/submit/": _DESIGN,
    "POST /workflow/blueprint-drafts/{draft_id}/publish/": _DESIGN,
    "POST /workflow/blueprint-drafts/{draft_id}/reopen/": _DESIGN,
    "POST /workflow/blueprint-drafts/{draft_id}/discard/": _DESIGN,
    "POST /workflow/requests/": ASK,
    "GET /workflow/requests/": EVERYBODY,
    "GET /workflow/requests/{request_id}/": EVERYBODY,
    "GET /workflow/requests/{request_id}/timeline/": EVERYBODY,
    "GET /workflow/requests/{request_id}/waiting/": EVERYBODY,
    # Whose reasons they see, service.waiting.why says.
    "GET /workflow/requests/{request_id}/why/": EVERYBODY,
    "GET /workflow/requests/{request_id}/cost/": EVERYBODY,
    "GET /workflow/requests/{request_id}/forecast/": EVERYBODY,
    "GET /workflow/requests/{request_id}/audit/verify/": EVERYBODY,
    "GET /workflow/requests/{request_id}/notifications/": EVERYBODY,
    "POST /workflow/requests/{request_id}/withdraw/": NOT_AUDITORS,
    "POST /workflow/requests/{request_id}/cancel/": NOT_AUDITORS,
    "POST /workflow/requests/{request_id}/comments/": NOT_AUDITORS,
    "POST /workflow/requests/{request_id}/questions/": NOT_AUDITORS,
    "POST /workflow/requests/{request_id}/questions/{n}/answer/": NOT_AUDITORS,
    "POST /workflow/requests/{request_id}/remind/": NOT_AUDITORS,
    "POST /workflow/requests/{request_id}/claim/": NOT_AUDITORS,
    "POST /workflow/requests/{request_id}/watch/": EVERYBODY,
    "DELETE /workflow/requests/{request_id}/watch/": EVERYBODY,
    "POST /workflow/requests/{request_id}/extend/": NOT_AUDITORS,
    "POST /workflow/requests/{request_id}/events/": NOT_AUDITORS,
    "POST /workflow/requests/{request_id}/resubmit/": NOT_AUDITORS,
    "POST /workflow/requests/{request_id}/attachments/": NOT_AUDITORS,
    "GET /workflow/requests/{request_id}/attachments/": EVERYBODY,
    "GET /workflow/requests/{request_id}/attachments/{n}/": EVERYBODY,
    "GET /workflow/tasks/": EVERYBODY,
    "GET /workflow/tasks/{task_id}/": EVERYBODY,
    # For approvers, and for designers who own the process of the task; service.commands checks that.
    "GET /workflow/tasks/{task_id}/consequences/": NOT_AUDITORS,
    "GET /workflow/decisions/{task_id}/receipt/": EVERYBODY,
    "GET /workflow/receipt-keys/": EVERYBODY,
    "GET /workflow/admin-acts/": AUDIT,
    "POST /workflow/evidence-packs/": AUDIT,
    "GET /workflow/evidence-packs/": AUDIT,
    "GET /workflow/evidence-packs/{pack_id}/": AUDIT,
    "GET /workflow/evidence-packs/{pack_id}/file/": AUDIT,
    "POST /workflow/event-logs/": _DESIGN,
    "GET /workflow/event-logs/": _SEE_DRAFTS,
    "GET /workflow/event-logs/{log_id}/": _SEE_DRAFTS,
    "DELETE /workflow/event-logs/{log_id}/": _DESIGN,
    "POST /workflow/event-logs/{log_id}/suggest/": _DESIGN,
    "POST /workflow/event-logs/{log_id}/forecasts/": _DESIGN,
    "POST /workflow/event-logs/{log_id}/backtest/": _DESIGN,
    "POST /workflow/tasks/decide/": NOT_AUDITORS,
    "POST /workflow/tasks/delegate/": NOT_AUDITORS,
    "POST /workflow/tasks/{task_id}/decide/": NOT_AUDITORS,
    "POST /workflow/tasks/{task_id}/approvers/": NOT_AUDITORS,
    "POST /workflow/tasks/{task_id}/undo/": NOT_AUDITORS,
    "POST /workflow/tasks/{task_id}/claim/": NOT_AUDITORS,
    "POST /workflow/tasks/{task_id}/token/": NOT_AUDITORS,
    "POST /workflow/tasks/{task_id}/reassign/": NOT_AUDITORS,
    "POST /workflow/tasks/{task_id}/delegate/": NOT_AUDITORS,
    "POST /workflow/tasks/{task_id}/release/": NOT_AUDITORS,
    "GET /workflow/people/": EVERYBODY,
    "POST /workflow/people/": OPERATE,
    "GET /workflow/people/{person_id}/": EVERYBODY,
    "PUT /workflow/people/{person_id}/": EVERYBODY,  # everybody may set their own absence
    "GET /workflow/people/{person_id}/sessions/": OPERATE,
    "DELETE /workflow/people/{person_id}/sessions/": OPERATE,
    "GET /workflow/people/me/preferences/": EVERYBODY,
    "PUT /workflow/people/me/preferences/": EVERYBODY,
    "GET /workflow/action-catalog/": EVERYBODY,
    "POST /workflow/action-catalog/": _DESIGN,
    "GET /workflow/action-catalog/{action}/": EVERYBODY,
    "PUT /workflow/action-catalog/{action}/": _DESIGN,
    "GET /workflow/workflow-slas/": EVERYBODY,
    "POST /workflow/workflow-slas/": _DESIGN,
    "GET /workflow/workflow-slas/{sla_id}/": EVERYBODY,
    "PUT /workflow/workflow-slas/{sla_id}/": _DESIGN,
    "DELETE /workflow/workflow-slas/{sla_id}/": _DESIGN,
    "GET /workflow/workflow-slas/{sla_id}/metrics/": EVERYBODY,
    "GET /workflow/workflow-slas/{sla_id}/forecast/": EVERYBODY,
    # Those who see not all see the breaches of their own processes; service.slas.breaches says which.
    "GET /workflow/sla-breaches/": EVERYBODY,
    "GET /workflow/sla-breaches/unacknowledged/": EVERYBODY,
    "GET /workflow/sla-breaches/{breach_id}/": EVERYBODY,
    "POST /workflow/sla-breaches/{breach_id}/acknowledge/": NOT_AUDITORS,
    # Those who design and audit nothing see the costs of their own processes; service.costs.report says which.
    "GET /workflow/costs/": EVERYBODY,
    "POST /workflow/workflow-simulations/": EVERYBODY,
    "GET /workflow/workflow-simulations/": EVERYBODY,
    "GET /workflow/workflow-simulations/{simulation_id}/": EVERYBODY,
    "GET /workflow/workflow-simulations/{simulation_id}/rows/": EVERYBODY,
    "GET /workflow/workflow-simulations/{simulation_id}/events/": EVERYBODY,
    "GET /workflow/workflow-simulations/{simulation_id}/report/": EVERYBODY,
    "POST /workflow/workflow-simulations/{simulation_id}/cancel/": EVERYBODY,
    "POST /workflow/workflow-suggestions/": _DESIGN,
    "GET /workflow/workflow-suggestions/": _SEE_DRAFTS,
    "POST /workflow/workflow-suggestions/generate/": _DESIGN,
    "GET /workflow/workflow-suggestions/{suggestion_id}/": _SEE_DRAFTS,
    "POST /workflow/workflow-suggestions/{suggestion_id}/accept/": _DESIGN,
    "POST /workflow/workflow-suggestions/{suggestion_id}/reject/": _DESIGN,
    "POST /workflow/workflow-canaries/": _DESIGN,
    # Those who design not see and end the canaries of their own processes; service.canaries says which.
    "GET /workflow/workflow-canaries/": EVERYBODY,
    "GET /workflow/workflow-canaries/{canary_id}/": EVERYBODY,
    "POST /workflow/workflow-canaries/{canary_id}/promote/": NOT_AUDITORS,
    "POST /workflow/workflow-canaries/{canary_id}/revert/": NOT_AUDITORS,
    "GET /workflow/notification-templates/": _DESIGN,
    "GET /workflow/notification-templates/{name}/": _DESIGN,
    "PUT /workflow/notification-templates/{name}/": _DESIGN,
    "POST /workflow/notification-templates/{name}/preview/": _DESIGN,
    "POST /workflow/notifications/{key}/resend/": NOT_AUDITORS,
    "GET /workflow/webhooks/": OPERATE,
    "POST /workflow/webhooks/": OPERATE,
    "GET /workflow/webhooks/{webhook_id}/": OPERATE,
    "DELETE /workflow/webhooks/{webhook_id}/": OPERATE,
    "POST /workflow/webhooks/{webhook_id}/switch/": OPERATE,
    "POST /workflow/webhooks/{webhook_id}/secret/": OPERATE,
    "GET /workflow/webhooks/{webhook_id}/deliveries/": OPERATE,
    "POST /workflow/webhooks/{webhook_id}/replay/": OPERATE,
    "GET /metrics/workflow-escalations": EVERYBODY,
    "GET /log/checkpoint": EVERYBODY,
    "GET /log/entries": AUDIT,
    "GET /log/inclusion-proof": AUDIT,
    "GET /log/consistency-proof": AUDIT,
    "GET /auth/me/": EVERYBODY,
    "GET /auth/tokens/": EVERYBODY,
    "POST /auth/tokens/": EVERYBODY,
    "DELETE /auth/tokens/{token_id}/": EVERYBODY,
    "GET /workflow/api-tokens/": OPERATE,
    "DELETE /workflow/api-tokens/{token_id}/": OPERATE,
}


def rule_of(method: str, path: str) -> frozenset[str]:
    """Return who may call a route; raises LookupError for a route without a rule."""
    try:
        return RULES[f"{method} {path}"]
    except KeyError:
        raise LookupError(f"say in api.access who may call {method} {path}") from None
