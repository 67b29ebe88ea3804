"""Cosignatures, what is sent to a witness, and the settings that name one."""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from placet.audit.receipts import ReceiptKey
from placet.errors import InputInvalid
from placet.transparency.checkpoints import Checkpoint
from placet.transparency.cosignatures import COSIGNATURE_V1, WitnessKey, cosigned_bytes, with_cosignatures
from placet.transparency.notes import Note, Signature, VerifierKey, read_signatures, written_key
from placet.transparency.submission import read_size, submission
from placet.transparency.tree import (
    MOST_HASHES,
    consistency_plan,
    continues,
    fold,
    grown,
    includes,
    inclusion_plan,
    leaf_hash,
    perfect,
    proof_of,
)
from service.transparency.attested import Expected, verify_checkpoint
from service.transparency.settings import MOST_WITNESSES, witnesses_of
from tests.unit.test_inclusion import flips

LOG = ReceiptKey("a secret for the tests alone")
SECRET = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = WitnessKey(name="witness.example/w1", public=SECRET.public_key().public_bytes_raw())
CHECKPOINT = Checkpoint(origin="log.example/1", size=13, root=bytes(range(32)))
LOG_KEY = VerifierKey(name="log.example/1", public=LOG.public)
SECONDS = 1_679_315_147


def line(seconds: int = SECONDS, *, key: WitnessKey = KEY, text: str = CHECKPOINT.text, value: bytes = b"") -> str:
    signed = value or seconds.to_bytes(8) + SECRET.sign(cosigned_bytes(text, seconds))
    return Signature(name=key.name, key_id=key.id, value=signed).line


def test_what_a_witness_signs_is_that_of_the_standard() -> None:
    # The message and the moment of the examples at c2sp.org/tlog-cosignature, whose line begins with key id and moment.
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    assert cosigned_bytes(text, SECONDS) == f"cosignature/v1\ntime 1679315147\n{text}".encode()
    (example,) = read_signatures(
        "\N{EM DASH} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1n"
        "PZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
    )
    assert (int.from_bytes(example.value[:8]), len(example.value)) == (SECONDS, 72)
    assert WitnessKey.read(str(KEY)) == KEY
    assert KEY.id != VerifierKey(name=KEY.name, public=KEY.public).id, "the same key as another kind has another id"


def test_the_newest_cosignature_of_a_key_counts_and_others_are_passed_over() -> None:
    other = WitnessKey(name="witness.example/w2", public=KEY.public)
    found = KEY.cosigned(CHECKPOINT.text, read_signatures(line() + line(SECONDS + 5) + line(key=other)))
    assert found is not None
    assert found.at == datetime.fromtimestamp(SECONDS + 5, UTC)
    assert KEY.cosigned(CHECKPOINT.text, read_signatures(line(key=other))) is None
    cosigned = with_cosignatures(LOG.sign_checkpoint(CHECKPOINT), [line()])
    assert verify_checkpoint(cosigned, Expected(log_key=LOG_KEY, witnesses=[KEY]))["ok"]
    lacks = verify_checkpoint(cosigned, Expected(witnesses=[other]))
    assert (lacks["ok"], lacks["why"]) == (False, "witness.example/w2 has not cosigned it")


@pytest.mark.parametrize(
    "value",
    [
        bytes(72),  # no moment
        (2**63).to_bytes(8) + bytes(64),
        SECONDS.to_bytes(8) + SECRET.sign(CHECKPOINT.text.encode()),  # a signature of the note itself
        SECONDS.to_bytes(8) + SECRET.sign(cosigned_bytes(CHECKPOINT.text, SECONDS + 1)),  # of another moment
        SECONDS.to_bytes(8) + SECRET.sign(cosigned_bytes(CHECKPOINT.text, SECONDS))[:-1],
        SECONDS.to_bytes(8) + SECRET.sign(cosigned_bytes(CHECKPOINT.text, SECONDS)) + b"x",
    ],
)
def test_what_is_no_cosignature_of_this_checkpoint_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match=KEY.name):
        KEY.cosigned(CHECKPOINT.text, read_signatures(line(value=value)))


def test_every_bit_of_a_cosigned_checkpoint_counts() -> None:
    whole = with_cosignatures(LOG.sign_checkpoint(CHECKPOINT), [line()])
    expected = Expected(log_key=LOG_KEY, witnesses=[KEY])
    assert verify_checkpoint(whole, expected)["ok"]
    assert [changed for changed in flips(whole) if verify_checkpoint(changed, expected)["ok"]] == []


@given(data=st.data(), size=st.integers(1, 70))
def test_a_proof_with_any_bit_changed_is_refused(data: st.DataObject, size: int) -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(size)]
    nodes = grown(0, {}, leaves)
    root = fold([nodes[node] for node in perfect(0, size)])
    index = data.draw(st.integers(0, size - 1), label="index")
    path = proof_of(inclusion_plan(index, size), nodes)
    chain = proof_of(consistency_plan(index + 1, size), nodes)
    old = fold([nodes[node] for node in perfect(0, index + 1)])
    bits = b"".join([root, leaves[index], *path])
    changed = _flipped(bits, data.draw(st.integers(0, len(bits) * 8 - 1), label="bit of inclusion"))
    assert includes(root, size, leaves[index], index, path)
    assert not includes(changed[0], size, changed[1], index, changed[2:])
    bits = b"".join([root, old, *chain])
    changed = _flipped(bits, data.draw(st.integers(0, len(bits) * 8 - 1), label="bit of consistency"))
    assert continues(old, index + 1, root, size, chain)
    assert not continues(changed[1], index + 1, changed[0], size, changed[2:])


def _flipped(joined: bytes, bit: int) -> list[bytes]:
    changed = bytearray(joined)
    changed[bit // 8] ^= 1 << bit % 8
    return [bytes(changed[start : start + 32]) for start in range(0, len(changed), 32)]


def test_what_is_sent_to_a_witness_is_that_of_the_standard() -> None:
    note = LOG.sign_checkpoint(CHECKPOINT)
    assert submission(0, [], note) == f"old 0\n\n{note}".encode()
    proof = [bytes(32), bytes([255]) * 32]
    hashes = [b64encode(one).decode() for one in proof]
    assert submission(7, proof, note) == f"old 7\n{hashes[0]}\n{hashes[1]}\n\n{note}".encode()
    assert Note.read(note).text == CHECKPOINT.text
    with pytest.raises(ValueError, match="at most 63"):
        submission(7, [bytes(32)] * (MOST_HASHES + 1), note)
    assert [read_size(one) for one in (b"0\n", b"12\n")] == [0, 12]
    for wrong in (b"", b"12", b"012\n", b"-1\n", b"1\n\n", b"9" * 19 + b"\n", "\u0661\n".encode()):
        with pytest.raises(ValueError, match="no number"):
            read_size(wrong)


def settings(*changes: str) -> str:
    return ", ".join(f"https://w.example/{n} {key}" for n, key in enumerate(changes))


def other(name: str) -> str:
    return str(WitnessKey(name=name, public=KEY.public))


@pytest.mark.parametrize(
    ("written", "finds"),
    [
        ("https://w.example", "write witness 1 as URL KEY"),
        (f"https://w.example {KEY} more", "write witness 1 as URL KEY"),
        (f"https://w.example/a {KEY}, {KEY}", "write witness 2 as URL KEY"),
        (f"ftp://w.example {KEY}", "is no address of a server"),
        (f"https:// {KEY}", "is no address of a server"),
        (f"https://w.example?a=b {KEY}", "is no address of a server"),
        (f"https://w.example {str(KEY).replace('w1+', 'w2+')}", "the key id of"),
        (f"https://w.example {str(KEY).replace('+', '+0', 1)}", "the key id of"),
        ("https://w.example name+00000000+!!", "cannot be used"),
        (f"https://w.example {LOG_KEY}", "no verifier key NAME+KEY_ID+BASE64 of the kind 0x04"),  # that of a log
        (f"https://w.example {written_key('w', 0x06, bytes(1312))}", "of the kind 0x04"),  # ML-DSA-44
        (settings(str(KEY), str(KEY)), "two witnesses have the same name"),
        (settings(*(other(f"w{n}") for n in range(MOST_WITNESSES + 1))), "at most 16"),
    ],
)
def test_a_witness_that_cannot_be_used_is_refused_where_the_settings_are_read(written: str, finds: str) -> None:
    with pytest.raises(InputInvalid, match=re.escape(finds)):
        witnesses_of(written)


def test_witnesses_are_read_with_their_submission_prefix() -> None:
    found: Any = witnesses_of(f" https://w.example/a/ {KEY} ,\n http://127.0.0.1:9 {other('w2')} ,")
    assert [(one.url, one.key.name) for one in found] == [
        ("https://w.example/a", KEY.name),
        ("http://127.0.0.1:9", "w2"),
    ]
    assert witnesses_of("") == ()
    assert COSIGNATURE_V1 == 4
