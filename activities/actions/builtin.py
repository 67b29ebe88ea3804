"""The executors of an installation, and the actions that a new catalog contains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from importlib.metadata import entry_points
from typing import Any

from activities.actions import http, internal, mail, webhook
from activities.actions.executor import Executor
from activities.actions.settings import ActionSettings
from activities.notifications.settings import NotifySettings
from placet.definition.action_spec import ActionSpec
from placet.errors import Conflict

GROUP = "placet.actions"
"""The entry point group: each entry's name is the executor's, and its object makes one when it is called."""

_ANYTHING: dict[str, Any] = {"type": "object"}

# The schemas of the built-in executors' settings. The API needs them too, although it runs no action.
CONFIG_SCHEMAS: Mapping[str, dict[str, Any]] = {
    "http": http.HttpExecutor.config_schema,
    "mail": mail.MailExecutor.config_schema,
    "webhook": webhook.WebhookExecutor.config_schema,
    "set_variables": internal.SetVariables.config_schema,
    "create_request": internal.CreateRequest.config_schema,
}

BUILT_IN: tuple[ActionSpec, ...] = (
    ActionSpec(
        name="http_call",
        executor="http",
        is_idempotent=False,
        latency_class="medium",
        side_effects=("http",),
        input_schema=http.INPUT_SCHEMA,
        output_schema=http.OUTPUT_SCHEMA,
    ),
    ActionSpec(
        name="send_mail",
        executor="mail",
        is_idempotent=False,
        latency_class="medium",
        side_effects=("mail",),
        accepts_key=True,
        input_schema=mail.INPUT_SCHEMA,
        output_schema=mail.OUTPUT_SCHEMA,
    ),
    ActionSpec(
        name="post_webhook",
        executor="webhook",
        is_idempotent=False,
        latency_class="medium",
        side_effects=("http",),
        accepts_key=True,
        input_schema=webhook.INPUT_SCHEMA,
        output_schema=webhook.OUTPUT_SCHEMA,
    ),
    ActionSpec(
        name="set_variables",
        executor="set_variables",
        is_idempotent=True,
        latency_class="instant",
        input_schema=_ANYTHING,
        output_schema=_ANYTHING,
    ),
    ActionSpec(
        name="create_request",
        executor="create_request",
        is_idempotent=False,
        latency_class="fast",
        side_effects=("request",),
        accepts_key=True,
        input_schema=internal.CREATE_INPUT,
        output_schema=internal.CREATE_OUTPUT,
    ),
)

DESCRIPTIONS: dict[str, str] = {
    "http_call": "Call an HTTP API on a host that PLACET_ACTION_HOSTS lists.",
    "send_mail": "Send a mail. Every attempt carries the same Message-ID, by which receivers see a repeat.",
    "post_webhook": "Post an event, signed as Standard Webhooks asks for; the webhook-id is the same at every attempt.",
    "set_variables": "Set variables of the process to what the input holds.",
    "create_request": "Start another request by template, for the same requester; a repeat starts nothing.",
}


def executors(
    settings: ActionSettings, notify: NotifySettings, begin: internal.StartRequest, clock: Callable[[], datetime]
) -> dict[str, Executor]:
    """Make every executor of this installation; raises Conflict for two of the same name."""
    made: dict[str, Executor] = {
        "http": http.HttpExecutor(settings),
        "mail": mail.MailExecutor(notify),
        "webhook": webhook.WebhookExecutor(settings, clock),
        "set_variables": internal.SetVariables(),
        "create_request": internal.CreateRequest(begin),
    }
    for entry in entry_points(group=GROUP):
        if entry.name in made:
            raise Conflict(
                f"Two executors are named {entry.name!r} in the entry point group {GROUP}; uninstall one of them"
            )
        made[entry.name] = entry.load()()
    return made


def known_executors() -> frozenset[str]:
    """Return the names of the executors, without making or importing any."""
    return frozenset(CONFIG_SCHEMAS) | frozenset(entry.name for entry in entry_points(group=GROUP))


def config_schema(executor: str) -> dict[str, Any] | None:
    """Return the JSON Schema of an executor's config, or None for an executor that is not installed."""
    if executor in CONFIG_SCHEMAS:
        return CONFIG_SCHEMAS[executor]
    found = entry_points(group=GROUP, name=executor)
    return dict(next(iter(found)).load()().config_schema) if found else None
