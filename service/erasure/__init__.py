"""Erasing a person: everywhere in the database, in the store of files, in the engine and in the local mailbox."""
