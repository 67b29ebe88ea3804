"""Make the runner of a notification worker from its settings."""

from __future__ import annotations

from activities.notifications.channels.channel import Channel
from activities.notifications.channels.chat import ChatChannel
from activities.notifications.channels.slack import SlackChannel
from activities.notifications.channels.smtp import SmtpChannel
from activities.notifications.channels.teams import TeamsChannel
from activities.notifications.channels.webhook_secrets import WebhookSecrets
from activities.notifications.decision_links import DecisionLinkWriter
from activities.notifications.delivery.confirmation import Confirm, Tell
from activities.notifications.delivery.runner import NotificationRunner
from activities.notifications.delivery.webhook_feed import WEBHOOK_TIMEOUT
from activities.notifications.settings import NotifySettings
from storage.announcements.listener import Subscriptions
from storage.database import Database
from storage.queries.notifications import webhooks

# The variable that sets the timeout of each channel.
TIMEOUTS = {"mail": "PLACET_SMTP_TIMEOUT", **dict.fromkeys(("chat", "slack", "teams", "sms"), "PLACET_CHAT_TIMEOUT")}


def channels(settings: NotifySettings) -> list[Channel]:
    """Return the channels that are set up."""
    found: list[Channel] = []
    if settings.smtp_host is not None:
        found.append(SmtpChannel(settings))
    if settings.chat_urls:
        found.append(ChatChannel("chat", settings.chat_urls, timeout=settings.chat_timeout))
    if settings.slack_bot_token is not None:
        found.append(SlackChannel(settings))
    if settings.teams_url is not None:
        found.append(TeamsChannel(settings))
    if settings.sms_urls:
        found.append(ChatChannel("sms", settings.sms_urls, timeout=settings.chat_timeout))
    return found


def notification_runner(
    database: Database,
    confirm: Confirm,
    settings: NotifySettings,
    *,
    tell: Tell,
    secret: str,
    subscriptions: Subscriptions | None = None,
) -> NotificationRunner:
    """Return the runner of the channels that are set up. `secret` is the installation's, as for decision tokens.

    Raises InputInvalid where the lease is shorter than the timeout of a channel.
    """
    for channel in (found := channels(settings)):
        settings.leased_longer_than(channel.timeout, TIMEOUTS[channel.name])
    links, secrets = DecisionLinkWriter(secret, settings, database.now), WebhookSecrets(secret, settings)
    return NotificationRunner(
        database, found, confirm, settings, tell=tell, links=links, secrets=secrets, subscriptions=subscriptions
    )


async def check_webhooks(database: Database, settings: NotifySettings) -> None:
    """Raise InputInvalid where there are webhook endpoints and the lease is shorter than their timeout."""
    if await database.read(webhooks.every, active=True):
        settings.leased_longer_than(settings.webhook_timeout, WEBHOOK_TIMEOUT)
