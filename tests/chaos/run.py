"""One run: people at work while the plan of faults is carried out, healing, and what the checker says of all of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.checker import Found, doubled, gists, violations
from tests.chaos.clients import People
from tests.chaos.faults import Done, Faults, concerns_mail
from tests.chaos.plan import EVERY, plan_of
from tests.chaos.remains import stored_notices, stored_requests, undelivered
from tests.chaos.site import Site

AT_ONCE = 12  # requests that are under way at the same time
CALM = 6  # requests after healing
HEALED_WITHIN = 240.0  # seconds after healing in which what was under way ends, and notices leave
_LEASE = 40.0  # seconds for which a fault may still be the reason that a mail goes out again


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is done in a run: so many requests within so many seconds, with a fault in `every` seconds on average."""

    seed: int
    seconds: float
    requests: int
    every: float = EVERY
    at_once: int = AT_ONCE


@dataclass(kw_only=True)
class Report:
    """What a run did and found."""

    seed: int
    seconds: float
    requests: int
    faults: Counter[str]
    answers: int
    unanswered: int
    slowest: float
    entries: int
    mails: int
    doubled: int
    ended: dict[str, int]
    healed_after: float
    disk: str
    memory: int
    took: float
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.faults.items()))
        ended = ", ".join(f"{name} {times}" for name, times in self.ended.items() if times) or "none"
        lines = [
            f"seed {self.seed}: {self.requests} requests, {self.faults.total()} faults in {self.seconds:.0f} s",
            kinds,
            f"{self.answers} calls with an answer, {self.unanswered} repeated without one or after a 503",
            f"the slowest call was known after {self.slowest:.1f} s",
            f"{self.entries} entries of history, {self.mails} mails, {self.doubled} of them again",
            f"what was under way ended {self.healed_after:.1f} s after healing",
            f"processes that ended by themselves: {ended}",
            f"disk: {self.disk}; {self.memory} MB of memory at most; {self.took:.0f} s in all",
        ]
        return "\n".join(lines + (["everything held"] if not self.violations else self.violations))


def run(folder: Path, work: Work, *, plant: str | None = None) -> Report:
    """Set everything up in `folder`, run, and take everything down."""
    site = Site(folder, plant=plant)
    try:
        site.prepare()
        return asyncio.run(_run(site, work))
    finally:
        site.clear()


async def _run(site: Site, work: Work) -> Report:
    began = time.monotonic()
    try:
        await site.start()
        people, faults = People(site, work.seed, work.at_once), Faults(site)
        turns = asyncio.Semaphore(work.at_once)
        underway: set[asyncio.Task[None]] = set()
        start = time.monotonic()

        async def ask(number: int) -> None:
            async with turns:
                await people.request(number)

        async def feed() -> None:
            for number in range(work.requests):
                await asyncio.sleep(max(0.0, start + number * work.seconds / work.requests - time.monotonic()))
                async with turns:
                    pass  # so that no more wait than can be carried out
                underway.add(asyncio.create_task(ask(number)))

        feeding = asyncio.create_task(feed())
        watched = asyncio.create_task(site.watch())
        await _first(watched, faults.carry_out(plan_of(work.seed, work.seconds, work.every)))
        lasted = time.monotonic() - start
        await faults.heal()
        healed = time.monotonic()
        said = await _ends_of(underway, "what was under way at healing")
        healed_after = time.monotonic() - healed
        await feeding
        calm_from = time.monotonic()
        for number in range(work.requests, work.requests + CALM):
            underway.add(asyncio.create_task(ask(number)))
        said += await _ends_of(underway, "what was asked for after healing", patience=HEALED_WITHIN + CALM)
        said += await _notices_leave(site)
        watched.cancel()
        calm = {request_id for request_id, asked in people.asked.items() if asked > calm_from}
        stored = await stored_requests(site.database, site.engine)
        found = Found(
            calls=people.calls,
            requests=stored,
            notices=stored_notices(site.database),
            taken=site.post.taken,
            # Of what was asked for in calm, nothing has a fault for its reason.
            excused=lambda mail, before: mail.request_id not in calm and _excused(faults.done, before, mail.at),
            ended=people.ended,
        )
        (site.folder / "told.jsonl").write_text("".join(json.dumps(one) + "\n" for one in gists(people.calls)))
        await people.close()
        return Report(
            seed=work.seed,
            seconds=lasted,
            requests=work.requests + CALM,
            faults=Counter(one.fault.kind for one in faults.done),
            answers=sum(len(call.told) for call in people.calls),
            unanswered=sum(call.unanswered for call in people.calls),
            slowest=people.slowest,
            entries=sum(len(one.entries) for one in stored),
            mails=len(site.post.taken),
            doubled=doubled(site.post.taken),
            ended={part.name: len(part.ended) for part in site.parts.values()},
            healed_after=healed_after,
            disk=site.disk.how,
            memory=site.peak,
            took=time.monotonic() - began,
            violations=said + people.complaints + violations(found),
        )
    finally:
        await site.close()


async def _first(watched: asyncio.Task[None], work: object) -> None:
    """Do the work, unless the watcher ends before it with an error."""
    working = asyncio.ensure_future(work)  # type: ignore[arg-type]  # a coroutine
    await asyncio.wait({watched, working}, return_when=asyncio.FIRST_COMPLETED)
    if watched.done():
        working.cancel()
        watched.result()
    await working


async def _ends_of(tasks: set[asyncio.Task[None]], what: str, *, patience: float = HEALED_WITHIN) -> list[str]:
    """Wait for requests to end, and say which do not."""
    if not tasks:
        return []
    these = set(tasks)  # others may come meanwhile
    ended, left = await asyncio.wait(these, timeout=patience)
    said = [f"{error!r}" for task in ended if (error := task.exception()) is not None]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    tasks -= these
    return said + ([f"{len(left)} requests of {what} did not end within {patience:.0f} s"] if left else [])


async def _notices_leave(site: Site) -> list[str]:
    end = time.monotonic() + HEALED_WITHIN
    while left := await asyncio.to_thread(undelivered, site.database):
        if time.monotonic() > end:
            return [f"{left} notifications have not left {HEALED_WITHIN:.0f} s after everything was healed"]
        await asyncio.sleep(0.5)
    await asyncio.sleep(2)  # in which what goes out again would come
    return []


def _excused(done: list[Done], before: float, again: float) -> bool:
    """Tell whether something went wrong with a mail's sender between two moments, or shortly before."""
    return any(concerns_mail(one.fault) and one.began < again and one.ended > before - _LEASE for one in done)
