"""Look at the mail server: it is greeted as for sending, and nothing is sent."""

from __future__ import annotations

from activities.notifications.channels.channel import NotDelivered
from activities.notifications.channels.smtp import SmtpChannel
from activities.notifications.settings import load
from cli.checkup.check import Bad, Finding, Unseen


async def mail() -> Finding:
    """Whether the mail server takes a connection with these settings."""
    settings = load()
    if settings.smtp_host is None:
        return Unseen(why="PLACET_SMTP_HOST is not set; `placet up` keeps mails in its local mailbox")
    channel = SmtpChannel(settings)
    try:
        await channel.greet()
    except NotDelivered as error:
        return Bad(found=str(error))
    finally:
        await channel.close()
    return f"{settings.smtp_host}:{settings.smtp_port} answers"
