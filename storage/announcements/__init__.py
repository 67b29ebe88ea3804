"""Announcements: a transaction tells the processes that share a database what it has committed.

Who waits for a row in another process is told at once and need not look for it all the time. Each announcement is a few
topics. It carries nothing else, and it may be lost: who waits looks again after a while, and finds the row then.

On PostgreSQL this is NOTIFY, which is part of the transaction. On SQLite it is a line in the named pipe of each process
that listens, written after the commit.
"""
