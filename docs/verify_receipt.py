"""Verify a receipt of Placet without Placet: python verify_receipt.py RECEIPT.json [KEY_ID]

It needs the package `cryptography` alone. KEY_ID is the key that the installation has told you; without it, the script
says only that whoever has the key in the receipt has signed exactly this. verify_inclusion.py beside it goes on from
there: whether the log of all chains has the decision.
"""

import base64
import hashlib
import json
import pathlib
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PREFIX = b"placet receipt 1\n"
SIGNED = ("format", "body", "key_id", "public_key")


def canonical(value):
    """Write JSON as RFC 8785 does; a receipt has no numbers but whole ones, and its names are ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def once(pairs):
    """Refuse an object in which a name stands twice: what a reader sees may be the other one."""
    if len(dict(pairs)) < len(pairs):
        sys.exit("the receipt does not hold: a name stands twice in it")
    return dict(pairs)


def fault_of(receipt, key_id=None):
    """Return what is wrong with a receipt; None where nothing is."""
    if set(receipt) != {*SIGNED, "signature", "inclusion"} or not isinstance(receipt["inclusion"], dict | None):
        return "it is no receipt"
    if type(receipt["format"]) is not int or receipt["format"] != 1:
        return "its format is not 1"
    try:
        texts = [receipt["public_key"], receipt["signature"]]
        public, signature = (base64.b64decode(text, validate=True) for text in texts)
        if [base64.b64encode(raw).decode() for raw in (public, signature)] != texts:
            return "its public key or its signature is not as base64 writes it"
        signed = canonical({name: receipt[name] for name in SIGNED})
        Ed25519PublicKey.from_public_bytes(public).verify(signature, PREFIX + signed)
    except (InvalidSignature, ValueError, TypeError):
        return "its signature does not fit"
    if receipt["key_id"] != hashlib.sha256(public).hexdigest()[:32]:
        return "its key_id is not that of its public key"
    if key_id is not None and receipt["key_id"] != key_id:
        return "it is signed with another key"
    return None


if __name__ == "__main__":
    fault = fault_of(json.loads(pathlib.Path(sys.argv[1]).read_text("utf-8"), object_pairs_hook=once), *sys.argv[2:3])
    sys.stdout.write("the receipt holds\n" if fault is None else f"the receipt does not hold: {fault}\n")
    sys.exit(fault is not None)
