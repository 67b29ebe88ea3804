"""The certificates that an installation connects with, as the PEM files that its settings name."""

from __future__ import annotations

from placet.errors import InputInvalid
from worker.connect import EngineSettings
from worker.settings import Settings


def certificate_files(settings: Settings, engine: EngineSettings) -> dict[str, bytes | None]:
    """Return each file by what it is for, None where there is none; raises InputInvalid for one that is not read."""
    file, tls = settings.log_timestamp_certificates, engine.tls
    try:
        authority = None if file is None else file.read_bytes()
    except OSError as error:
        raise InputInvalid(f"PLACET_LOG_TIMESTAMP_CERTIFICATES cannot be read: {error}") from None
    return {
        "engine_client": None if tls is None else tls.client_cert,
        "engine_authority": None if tls is None else tls.server_root_ca_cert,
        "timestamp_authority": authority,
    }
