"""Payloads in the engine are encrypted by a ring of keys; what was written under another key, or none, is read on."""

from __future__ import annotations

import asyncio
import stat
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from placet.errors import Conflict, InputInvalid, Unavailable
from worker.connect import EngineSettings
from worker.converter import DATA_CONVERTER, converter_with
from worker.key_ring import KeyRing, add_key, id_of, read_keys
from worker.payload_codec import ENCODING, EncryptingCodec

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"title":"Zanzibar"}')


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "payload.keys"
    add_key(path, NOW)
    return path


def encrypted(ring: KeyRing, payload: Payload = PLAIN) -> Payload:
    return asyncio.run(EncryptingCodec(ring).encode([payload]))[0]


def decrypted(ring: KeyRing, payload: Payload) -> Payload:
    return asyncio.run(EncryptingCodec(ring).decode([payload]))[0]


def test_a_payload_comes_back_whole_and_tells_nothing_but_its_key(file: Path) -> None:
    ring = KeyRing(file)
    one, other = encrypted(ring), encrypted(ring)
    assert decrypted(ring, one) == PLAIN
    assert one.data != other.data  # nobody can tell that both are the same
    assert (one.metadata["encoding"], one.metadata["encryption-key-id"]) == (ENCODING, ring.writes.id.encode())
    assert b"Zanzibar" not in one.SerializeToString()
    assert b"json/plain" not in one.SerializeToString()


def test_what_is_not_encrypted_is_read_as_it_is(file: Path) -> None:
    assert decrypted(KeyRing(file), PLAIN) == PLAIN


def test_after_a_rotation_the_new_key_writes_and_both_read(file: Path) -> None:
    before = KeyRing(file)
    old = encrypted(before)
    made = add_key(file, NOW)
    after = KeyRing(file)
    assert after.writes.id == made.id != before.writes.id
    assert decrypted(after, old) == decrypted(after, encrypted(after)) == PLAIN


def test_a_process_that_runs_finds_a_key_that_was_added_meanwhile_and_goes_on_to_write_with_its_own(file: Path) -> None:
    running = KeyRing(file)
    own = running.writes.id
    add_key(file, NOW)
    assert decrypted(running, encrypted(KeyRing(file))) == PLAIN
    assert running.writes.id == own


def test_an_unknown_key_is_named(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.keys"
    made = add_key(other, NOW)
    with pytest.raises(Unavailable, match=made.id):
        decrypted(KeyRing(file), encrypted(KeyRing(other)))


@pytest.mark.parametrize(
    "change",
    [
        lambda p: Payload(metadata=p.metadata, data=p.data[:-1] + bytes([p.data[-1] ^ 1])),  # one bit
        lambda p: Payload(metadata=p.metadata, data=p.data[:20]),  # cut
        lambda p: Payload(metadata=p.metadata, data=b""),
        lambda p: Payload(metadata=p.metadata, data=bytes([p.data[0] ^ 1]) + p.data[1:]),  # the nonce
    ],
)
def test_an_altered_payload_is_refused(file: Path, change: object) -> None:
    ring = KeyRing(file)
    with pytest.raises(Unavailable, match="altered, or cut"):
        decrypted(ring, change(encrypted(ring)))  # type: ignore[operator]  # a lambda of the table


def test_a_payload_does_not_pass_under_the_name_of_another_key(file: Path) -> None:
    old = encrypted(KeyRing(file))
    add_key(file, NOW)
    ring = KeyRing(file)
    renamed = Payload(metadata={**old.metadata, "encryption-key-id": ring.writes.id.encode()}, data=old.data)
    with pytest.raises(Unavailable, match="altered, or cut"):
        decrypted(ring, renamed)


async def test_messages_of_failures_are_encrypted_too(file: Path) -> None:
    converter = converter_with(EncryptingCodec(KeyRing(file)))
    failure = Failure()
    await converter.encode_failure(ApplicationError("the card of Zanzibar is refused", {"of": "Zanzibar"}), failure)
    assert b"Zanzibar" not in failure.SerializeToString()
    error = await converter.decode_failure(failure)
    assert isinstance(error, ApplicationError)
    assert (error.message, error.details) == ("the card of Zanzibar is refused", ({"of": "Zanzibar"},))


def test_without_a_file_of_keys_the_converter_is_the_one_that_it_was(file: Path) -> None:
    assert converter_with(None) is DATA_CONVERTER
    assert EngineSettings.read({}).payload_keys is None
    named = EngineSettings.read({"PLACET_PAYLOAD_KEYS_FILE": str(file)})
    assert named.payload_keys is not None
    assert named.payload_keys.writes.id == id_of(read_keys(file)[0])
    assert all(b64encode(key).decode() not in repr(named) for key in read_keys(file))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "holds no key"),
        ("# a comment alone\n", "holds no key"),
        ("# first\nAAAA\n", "line 2: write a key as 32 bytes"),
        ("not Base64!\n", "line 1"),
        (b64encode(bytes(33)).decode(), "line 1"),
        ("#" * 70_000, "more than 64,000 bytes"),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "keys"
    path.write_text(content)
    with pytest.raises(InputInvalid, match=says):
        EngineSettings.read({"PLACET_PAYLOAD_KEYS_FILE": str(path)})


def test_a_file_that_is_missing_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(InputInvalid, match="placet keys payloads FILE"):
        KeyRing(tmp_path / "none")


def test_a_new_file_is_its_owners_and_an_interrupted_one_is_not_overwritten(file: Path) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_text()
    file.with_name("payload.keys.new").touch()
    with pytest.raises(Conflict, match="Remove it"):
        add_key(file, NOW)
    assert file.read_text() == before
