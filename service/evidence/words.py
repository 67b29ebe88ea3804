"""What a pack says of itself to whoever opens it."""

from __future__ import annotations

from typing import Final

READ_ME: Final = """\
# Evidence of an approval process

This archive was made by Placet. It shows how one process was followed in one period. Verify it before you use it,
without a network and without the installation that made it:

    placet verify --evidence FILE --key KEY_ID

Ask the installation for its KEY_ID by another way than the one by which you got this file.

- `manifest.json`: process, period, who made this and when, counts, and the SHA-256 and size of every other file;
  signed (Ed25519).
- `population.ndjson`: one line for each request that ended or was decided in the period, with its outcome and the
  head of its audit chain.
- `exceptions.ndjson`: one line for each exception in the whole population: late tasks, escalations, interventions of
  owners and admins, decisions that were undone, changes after an approval, refused signals.
- `sample.json`: the sample, which anybody can draw again from the population and the seed.
- `requests/NNNN/chain.ndjson`: the audit chain of a sampled request; each entry has the hash that ties it to the one
  before.
- `requests/NNNN/receipts.ndjson`: a signed receipt of each decision in it, with the proof where the installation's
  transparency log has it. Whoever keeps this archive finds out who rewrites the record.
- `log.json`: the newest signed checkpoint of that log, and the decisions that were not under one yet: they are
  expected to be by the moment that stands there. Ask for the receipts of these again later.
- `requests/NNNN/attachments.ndjson`: its attachments with their SHA-256. The files are in `files/` where they were
  asked for.
- `requests/NNNN/deliveries.ndjson`: the notices that were sent about it: to whom, when, by which channel, and which
  could not be delivered. They are a chain of their own.
- `policies/DIGEST.json`: each version of the process that a sampled request followed, with the certificate of what
  was proven of it.
- `keys.json`: the public keys that the installation has signed with.

It holds personal data: who asked, who decided and why, and what the sampled requests were about. Keep it as you keep
those.
"""
