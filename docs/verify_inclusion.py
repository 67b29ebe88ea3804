"""Verify where the log has a decision, without Placet: python verify_inclusion.py RECEIPT.json [KEY_ID...]

It needs the package `cryptography`, and verify_receipt.py beside it. The KEY_IDs are those that the installation has
told you: that of the receipt, and after a rotation that of the checkpoint. docs/trust.md says what this proves.
"""

import base64
import hashlib
import json
import pathlib
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from verify_receipt import fault_of, once

MEMBERS = {"leaf", "index", "tree_size", "hashes", "checkpoint", "public_key"}


def sha(*parts):
    """Return the SHA-256 of bytes one after the other."""
    return hashlib.sha256(b"".join(parts)).digest()


def root_over(leaf, index, size, hashes):
    """Return the root of the tree of so many leaves that an audit path leads to (RFC 9162, 2.1.3.2)."""
    place, last, found = index, size - 1, leaf
    for one in hashes:
        if last == 0:
            return None
        if place & 1 or place == last:
            found = sha(b"\x01", one, found)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = sha(b"\x01", found, one)
        place, last = place >> 1, last >> 1
    return found if last == 0 else None


def signed(note, public):
    """Return origin, size and root of a checkpoint, once its signature with this key is verified."""
    text, _, lines = note.rpartition("\n\n")
    origin, size, root = text.split("\n")
    key = sha(origin.encode(), b"\n\x01", public)[:4]
    for line in lines.removesuffix("\n").split("\n"):
        name, value = line.removeprefix("\u2014 ").rsplit(" ", 1)
        raw = base64.b64decode(value, validate=True)
        if name == origin and raw[:4] == key and base64.b64encode(raw).decode() == value:
            Ed25519PublicKey.from_public_bytes(public).verify(raw[4:], f"{text}\n".encode())
            return origin, int(size), base64.b64decode(root, validate=True)
    raise ValueError(note)


def fault_of_inclusion(receipt, *key_ids):
    """Return what is wrong with a receipt or its inclusion; None where nothing is."""
    if (fault := fault_of(receipt)) is not None or receipt["inclusion"] is None:
        return fault or "it does not say yet where the log has its entry"
    body, inclusion = receipt["body"], receipt["inclusion"]
    leaf = {"chain": body["request_id"], "seq": body["seq"], "head": body["entry_hash"]}
    if set(inclusion) != MEMBERS or inclusion["leaf"] != leaf:
        return "its leaf is of another entry"
    data = "placet chain head 1\n{chain}\n{seq}\n{head}\n".format(**leaf).encode()
    try:
        public, index = base64.b64decode(inclusion["public_key"], validate=True), inclusion["index"]
        _, size, root = signed(inclusion["checkpoint"], public)
        hashes = [bytes.fromhex(one) for one in inclusion["hashes"]]
        whole = [one.hex() for one in hashes] == inclusion["hashes"] and all(len(one) == 32 for one in hashes)
        numbers = type(index) is type(inclusion["tree_size"]) is int
        at = numbers and 0 <= index < size == inclusion["tree_size"]
        if not whole or not at or root_over(sha(b"\0", data), index, size, hashes) != root:
            return "its proof does not lead to the root of its checkpoint"
    except (InvalidSignature, ValueError, TypeError, AttributeError):
        return "its checkpoint, its key or its proof cannot be used"
    used = {receipt["key_id"], hashlib.sha256(public).hexdigest()[:32]}
    return "it or its checkpoint is signed with another key" if key_ids and not used <= set(key_ids) else None


if __name__ == "__main__":
    read = json.loads(pathlib.Path(sys.argv[1]).read_text("utf-8"), object_pairs_hook=once)
    fault = fault_of_inclusion(read, *sys.argv[2:])
    sys.stdout.write("the log has it\n" if fault is None else f"the inclusion does not hold: {fault}\n")
    sys.exit(fault is not None)
