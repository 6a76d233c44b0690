"""Names that files with secrets usually have."""

from __future__ import annotations

from typing import Final

SECRET_NAMES: Final = frozenset(
    {
        b".boto",
        b".env",
        b".env.development",
        b".env.local",
        b".env.production",
        b".env.staging",
        b".git-credentials",
        b".htpasswd",
        b".netrc",
        b".pgpass",
        b".pypirc",
        b".s3cfg",
        b".vault-token",
        b"credentials",
        b"credentials.json",
        b"id_dsa",
        b"id_ecdsa",
        b"id_ed25519",
        b"id_rsa",
        b"kaggle.json",
        b"secrets.json",
        b"secrets.toml",
        b"secrets.yaml",
        b"secrets.yml",
        b"service-account.json",
        b"service_account.json",
    }
)
#: Ends of names. Looked for in files that no suffix of code takes.
SECRET_ENDINGS: Final = frozenset({b".env", b".jks", b".key", b".p12", b".pem", b".pfx"})
