"""The inclusion of a receipt: every bit of it counts, for Placet and for a script that knows nothing of Placet."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from docs.verify_inclusion import fault_of_inclusion as by_script
from placet.audit.receipts import ReceiptKey, fault_of
from placet.transparency.checkpoints import Checkpoint, read_signed
from placet.transparency.inclusion import Inclusion
from placet.transparency.leaves import Leaf
from placet.transparency.notes import Note, Signature, VerifierKey
from placet.transparency.tree import fold, grown, inclusion_plan, perfect, proof_of
from tests.unit.test_receipts import BODY, KEY

SCRIPT = Path(__file__).parents[2] / "docs" / "verify_inclusion.py"
LEAF = Leaf(chain=BODY["request_id"], seq=BODY["seq"], head=BODY["entry_hash"])
LEAVES = [Leaf(chain=f"r{n}", seq=n + 1, head=f"{n:064x}") for n in range(13)]
LEAVES[5] = LEAF


def receipt(key: ReceiptKey = KEY, *, index: int = 5) -> dict[str, Any]:
    """Make a receipt with its inclusion in a log of 13 leaves."""
    nodes = grown(0, {}, (leaf.hash for leaf in LEAVES))
    checkpoint = Checkpoint(origin="log.example/1", size=13, root=fold([nodes[node] for node in perfect(0, 13)]))
    inclusion = Inclusion(
        leaf=LEAVES[index],
        index=index,
        hashes=tuple(proof_of(inclusion_plan(index, 13), nodes)),
        checkpoint=checkpoint,
        note=key.sign_checkpoint(checkpoint),
        public_key=key.public,
    )
    return {**KEY.sign(BODY), "inclusion": inclusion.document}


def flips(text: str) -> Iterator[str]:
    """Yield a text with each character changed into others: for hex and base64, all its bits."""
    for place, character in enumerate(text):
        for bit in range(7):
            other = chr(ord(character) ^ (1 << bit))
            yield text[:place] + other + text[place + 1 :]


def altered() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what is proof of nothing: with each bit of hashes, checkpoint and key flipped, and in other shapes."""
    given = receipt()["inclusion"]
    for n, one in enumerate(given["hashes"]):
        for other in flips(one):
            yield f"hash {n}", {**given, "hashes": [*given["hashes"][:n], other, *given["hashes"][n + 1 :]]}
    for name in ("checkpoint", "public_key"):
        for other in flips(given[name]):
            yield name, {**given, name: other}
    for number in (4, 6, -1, 13, True, 5.0, "5", None):
        yield f"index {number!r}", {**given, "index": number}
    for number in (12, 14, 13.0, "13", None):
        yield f"size {number!r}", {**given, "tree_size": number}
    for member in ("chain", "seq", "head"):
        yield f"leaf without {member}", {**given, "leaf": {k: v for k, v in given["leaf"].items() if k != member}}
    for name in given:
        yield f"without {name}", {k: v for k, v in given.items() if k != name}
        yield f"null as {name}", {**given, name: None}
    yield "more", {**given, "more": 1}
    yield "another entry", receipt(index=6)["inclusion"]
    yield "fewer hashes", {**given, "hashes": given["hashes"][:-1]}
    yield "more hashes", {**given, "hashes": [*given["hashes"], given["hashes"][0]]}
    yield "a thousand hashes", {**given, "hashes": given["hashes"] * 300}
    yield "upper case", {**given, "hashes": [one.upper() for one in given["hashes"]]}


def test_a_receipt_with_its_inclusion_holds_for_placet_and_for_the_script(tmp_path: Path) -> None:
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(receipt()))
    assert fault_of(json.loads(file.read_text())) is None
    for more, code in (([], 0), ([KEY.id], 0), (["0" * 32], 1)):
        done = subprocess.run([sys.executable, str(SCRIPT), str(file), *more], check=False, capture_output=True)
        assert done.returncode == code, done.stderr.decode()
    assert by_script(KEY.sign(BODY)) == "it does not say yet where the log has its entry"


def test_a_checkpoint_after_a_rotation_is_signed_with_another_key_that_the_reader_has_to_know() -> None:
    fresh = ReceiptKey("a secret for the tests alone", 2)
    rotated = receipt(fresh)
    assert fault_of(rotated) is None
    assert by_script(rotated, KEY.id) is not None
    assert by_script(rotated, KEY.id, fresh.id) is None


def test_every_bit_of_an_inclusion_counts() -> None:
    whole = receipt()
    assert by_script(whole) is None
    passed = []
    for what, inclusion in altered():
        one = {**whole, "inclusion": inclusion}
        if fault_of(one) is None or by_script(one) is None:
            passed.append((what, fault_of(one), by_script(one)))
    assert passed == []


def test_a_note_and_its_keys_are_those_of_the_standard() -> None:
    # The example of c2sp.org/signed-note.
    key = VerifierKey.read("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
    note = Note.read(
        "This is an example message.\n\n\N{EM DASH} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK"
        "7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
    )
    assert len(key.signed(note.text, note.signatures)) == 1
    assert str(key) == "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
    with pytest.raises(ValueError, match="does not fit"):
        key.signed("This is another message.\n", note.signatures)


def test_signatures_of_keys_that_nobody_knows_are_passed_over() -> None:
    note = Note.read(receipt()["inclusion"]["checkpoint"])
    other = Signature(name="witness.example/w", key_id=b"1234", value=bytes(72))
    known = Note(text=note.text, signatures=(other, *note.signatures))
    assert read_signed(str(known), KEY.public).size == 13
    with pytest.raises(ValueError, match="not signed with the key of the log"):
        read_signed(str(Note(text=note.text, signatures=(other,))), KEY.public)


@pytest.mark.parametrize(
    "text", ["a\n1\nAAAA\n", "a\n01\n{root}\n", "a\n-1\n{root}\n", "\n1\n{root}\n", "a\n1\n{root}\nx\n"]
)
def test_what_is_no_checkpoint_is_read_as_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Checkpoint.read(text.format(root=b64encode(bytes(32)).decode()))


@pytest.mark.parametrize(
    ("chain", "seq", "head"),
    [
        ("r\n1", 1, "0" * 64),
        ("", 1, "0" * 64),
        ("é", 1, "0" * 64),
        ("r", 0, "0" * 64),
        ("r", True, "0" * 64),
        ("r", 1, "F" * 64),
    ],
)
def test_no_two_leaves_have_the_same_bytes(chain: str, seq: int, head: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Leaf(chain=chain, seq=seq, head=head)
    assert LEAF.data == f"placet chain head 1\nr1\n4\n{'ef' * 32}\n".encode()
