"""Compose notifications for people and send them over a channel, one at a time or as a digest."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from activities.notifications.channels.channel import AskedTask, Channel, Message, NotDelivered, TakesButtons
from activities.notifications.decision_links import DecisionLinkWriter
from activities.notifications.delivery.channel_delivery import NoLongerNeeded, NotInHistory, SendResult, message_id
from activities.notifications.preferences import MAIL, URGENT, Preferences
from activities.notifications.preferences import read as read_preferences
from activities.notifications.settings import NotifySettings, below, page_of
from activities.notifications.templates.template_set import DIGEST, RenderedText, TemplateSet, source_of
from activities.notifications.templates.values import TemplateContext, values
from languages.catalogues import SOURCE, Language, say_in
from placet.errors import InputInvalid
from storage.database import Database
from storage.queries.notifications import facts, notification_templates
from storage.queries.notifications.facts import NotificationFacts
from storage.queries.notifications.rows import MessageRow, PersonRow
from storage.recording.recipients import ASKING

log = logging.getLogger(__name__)

OFFERS_LINKS = frozenset(ASKING)
SLACK = "slack"
LATE = "sla_breached"
"""Asks whoever has the task, and tells others."""
TEMPLATES_AGAIN = 2.0  # seconds after which edited templates are read again
# Seconds for which messages of a batch are composed before the first is sent. The thread does so in one go, which costs
# less than a thread for each message, and holds the interpreter no longer than a call may wait for it.
COMPOSE_AHEAD = 0.1

_Composed = tuple[Message, RenderedText, set[str]]  # with the keys of the messages that it carries


class MessageSender:
    """Sends the messages of one channel to people."""

    records_sent = True

    def __init__(
        self,
        channel: Channel,
        database: Database,
        settings: NotifySettings,
        *,
        links: DecisionLinkWriter | None = None,
    ) -> None:
        """`links` writes the links of messages that ask for a decision."""
        self._channel = channel
        self._database = database
        self._templates = TemplateSet()
        self._templates_at = -TEMPLATES_AGAIN
        self._settings = settings
        self._links = links
        self._facts: dict[str, NotificationFacts] = {}
        self._people: dict[str, PersonRow] = {}
        self._outdated: set[str] = set()
        self._composed: dict[str, _Composed] = {}

    @property
    def concurrency(self) -> int:
        """As of the channel."""
        return self._channel.concurrency

    @property
    def timeout(self) -> float:
        """As of the channel."""
        return self._channel.timeout

    async def load(self, batches: Sequence[Sequence[MessageRow]]) -> None:
        """Read the requests, tasks and people of the notifications, and compose them for COMPOSE_AHEAD seconds."""
        messages = [message for batch in batches for message in batch]
        reminders = [m for m in messages if m.event == facts.REMINDED]
        now = self._database.now()

        def read(connection: Connection) -> tuple[dict[str, NotificationFacts], set[str], dict[str, PersonRow]]:
            self._read_templates(connection)
            found = facts.facts_of(connection, messages)
            outdated = facts.outdated_reminders(connection, reminders, now)
            return found, outdated, facts.people(connection, {p for one in found.values() for p in one.people()})

        self._facts, self._outdated, self._people = await self._database.look_up(read)
        self._composed = await asyncio.to_thread(self._compose_ahead, batches)

    def head_of(self, message: MessageRow, /) -> str | None:
        """Return the head of its request's chain as it was loaded; None where it is about no request."""
        one = self._facts.get(message.key)
        return None if one is None or one.request is None else one.request["head"]

    async def send(self, messages: Sequence[MessageRow]) -> SendResult:
        """Compose and send; raises NotDelivered, NoLongerNeeded, or NotInHistory without a fact in the store."""
        composed = self._composed.pop(messages[0].key, None)
        if composed is None:
            # On a thread: templates of operators may use the whole time that they are allowed.
            composed = await asyncio.to_thread(self._compose, messages)
        message, words, carried = composed
        await self._channel.send(message)
        detail: dict[str, object] = {"channel": self._channel.name, "message_id": message.id}
        if words.template != "default":
            detail["template"] = words.template
        if words.problem is not None:
            log.error("an edited template failed, and the default was used instead: %s", words.problem)
            detail["template_problem"] = words.problem[:300]
        if len(carried) > 1:
            detail["digest_of"] = len(carried)
        return SendResult(detail=detail, not_needed=frozenset(m.key for m in messages if m.key not in carried))

    def _read_templates(self, connection: Connection) -> None:
        if time.monotonic() - self._templates_at < TEMPLATES_AGAIN:
            return
        self._templates.change(source_of(row) for row in notification_templates.in_force(connection))
        self._templates_at = time.monotonic()

    def _compose_ahead(self, batches: Sequence[Sequence[MessageRow]]) -> dict[str, _Composed]:
        """Compose what fits into the time. What fails is left to `send`, which says why for each message."""
        until = time.monotonic() + COMPOSE_AHEAD
        composed: dict[str, _Composed] = {}
        for batch in batches:
            if time.monotonic() > until:
                break
            with contextlib.suppress(Exception):
                composed[batch[0].key] = self._compose(batch)
        return composed

    def _compose(self, messages: Sequence[MessageRow]) -> _Composed:
        wanted = [(m, self._facts[m.key]) for m in messages if m.key in self._facts]
        if not wanted:
            raise NotInHistory
        # A message that may have been sent is sent again with the same id, until it is recorded as sent: at least once.
        wanted = [(m, one) for m, one in wanted if m.in_doubt or not (one.no_longer_needed or m.key in self._outdated)]
        if not wanted:
            raise NoLongerNeeded
        person = self._people.get(wanted[0][1].outbox.person)
        if person is None:
            raise NotDelivered(f"user:{wanted[0][1].outbox.person} is not in the directory", permanent=True)
        if not person.active:
            raise NoLongerNeeded  # the person has left, and nothing has failed
        if len(wanted) == 1:
            message, words = self._single(*wanted[0], person)
        else:
            message, words = self._digest(wanted, person)
        return message, words, {m.key for m, _ in wanted}

    def _single(self, message: MessageRow, one: NotificationFacts, person: PersonRow) -> tuple[Message, RenderedText]:
        links, event = self._links_for(one, person), one.outbox.event
        language = self._templates.language_for(event, self._reads(person))
        words = self._templates.compose(event, self._values(one, person, links, language), language)
        found = self._message(message_id(message), one, person, words, links=links)
        asked = _asked_task(one, person)
        if asked is None:
            return found, words
        told = AskedTask(
            id=asked["id"],
            title=one.request["title"] if one.request else "",
            stage=asked["stage"],
            round=asked["round"],
            revision=asked["revision"],
            url=below(self._settings.public_url, f"tasks/{asked['id']}"),
        )
        return replace(found, asked=told, buttons=self._buttons_for(one, person)), words

    def _digest(
        self, wanted: list[tuple[MessageRow, NotificationFacts]], person: PersonRow
    ) -> tuple[Message, RenderedText]:
        parts: list[dict[str, Any]] = []
        language = self._templates.language_for(DIGEST, self._reads(person))
        for _, one in wanted:
            inside = self._values(one, person, self._links_for(one, person), language)
            said = self._templates.brief(one.outbox.event, inside, language)
            request = inside["request"]
            url = request["url"] if request else self._settings.public_url
            parts.append(
                {
                    "subject": said.subject,
                    "text": said.text,
                    "url": url,
                    "request": request["id"] if request else None,
                    "links": inside["links"],
                    "at": inside["at"],
                }
            )
        first = wanted[0][1]
        frame = self._values(first, person, {}, language)
        frame |= {
            "event": DIGEST,
            "request": None,
            "task": None,
            "notices": parts,  # the name that templates know
            "links": dict.fromkeys(frame["links"]),
        }
        words = self._templates.compose(DIGEST, frame, language)
        together = hashlib.sha256("|".join(sorted(message_id(m) for m, _ in wanted)).encode()).hexdigest()[:40]
        return self._message(together, first, person, words, event=DIGEST), words

    def _links_for(self, one: NotificationFacts, person: PersonRow) -> Mapping[str, str]:
        """Return the links by which a person can decide, where a message asks them to and reaches them alone."""
        task = _asked_task(one, person)
        if self._links is None or task is None or not self._channel.takes_links(address(person, self._channel.name)):
            return {}
        return self._links.links(person.id, task, one.decision_links)

    def _buttons_for(self, one: NotificationFacts, person: PersonRow) -> Mapping[str, str]:
        """Return the tokens of the buttons by which a person can decide, likewise."""
        task, channel = _asked_task(one, person), self._channel
        if self._links is None or task is None or not isinstance(channel, TakesButtons):
            return {}
        if not channel.takes_buttons(address(person, channel.name)):
            return {}
        return self._links.buttons(person.id, task, one.decision_links)

    def _reads(self, person: PersonRow) -> Language:
        """Return the language that a person reads; the installation's for whoever chose none."""
        return preferences_of(person).language or self._settings.notify_language

    def _values(
        self, one: NotificationFacts, person: PersonRow, links: Mapping[str, str], language: Language
    ) -> dict[str, Any]:
        preferences = preferences_of(person)
        return values(
            template_context(one, self._people, language),
            public_url=self._settings.public_url,
            links=links,
            now=self._database.now(),
            timezone=preferences.timezone if "timezone" in preferences.model_fields_set else None,
            language=language,
        )

    def _message(
        self,
        id_: str,
        one: NotificationFacts,
        person: PersonRow,
        words: RenderedText,
        *,
        event: str | None = None,
        links: Mapping[str, str] | None = None,
    ) -> Message:
        request_id, place = one.outbox.request_id, self._settings.public_url
        return Message(
            id=id_,
            person=person.id,
            name=person.name,
            address=address(person, self._channel.name),
            subject=words.subject,
            text=words.text,
            html=words.html,
            language=words.language,
            url=page_of(place, request_id) if one.request and event is None else place,
            event=event or one.outbox.event,
            request_id=request_id,
            urgent=one.outbox.event in URGENT,
            links=links or {},
        )


def template_context(
    one: NotificationFacts, people: Mapping[str, PersonRow], language: Language = SOURCE
) -> TemplateContext:
    """Return what the template of a notification may name, with the reason in a language."""
    outbox, entry = one.outbox, one.entry
    person = people.get(outbox.person)
    return TemplateContext(
        event=outbox.event,
        person=outbox.person,
        person_name=person.name if person else outbox.person,
        at=entry.at if entry else outbox.created_at,
        actor=entry.actor if entry else "system",
        entry_why=one.why(say_in(language)),
        detail=outbox.detail,
        names={id_: row.name for id_, row in people.items()},
        request=one.request,
        task=one.task,
    )


def address(person: PersonRow, channel: str) -> str | None:
    """Return a person's address on a channel, or None. Slack finds people by their mail address as well."""
    given = preferences_of(person).addresses.get(channel)
    return given or (person.email if channel in {MAIL, SLACK} else None)


def _asked_task(one: NotificationFacts, person: PersonRow) -> dict[str, Any] | None:
    """Return the task (columns of approval_task) that a message asks this person to decide; None: it asks nothing."""
    task = one.task
    if task is None or not task["assignee"] or task["status"] != "open":
        return None
    asked = one.outbox.event in OFFERS_LINKS and not one.for_information
    late = one.outbox.event == LATE and person.id in {task["assignee"], *task["delegates"]}
    return task if asked or late else None


def preferences_of(person: PersonRow | None) -> Preferences:
    """Return a person's preferences. Unreadable ones are replaced by the defaults, so that no notification is lost."""
    try:
        return read_preferences(person.preferences if person else None)
    except InputInvalid as error:
        log.warning(
            "the preferences of user:%s are unreadable, and the defaults apply: %s",
            person.id if person else "?",
            error.problems,
        )
        return Preferences()
