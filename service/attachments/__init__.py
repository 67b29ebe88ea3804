"""Attachments: files on requests, in a folder or an object store, each with its hash in the audit chain."""
