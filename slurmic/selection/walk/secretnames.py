"""Files that probably hold secrets: told by their names, and keys by their content as well."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Final

# Whole names, in lower case. Examples and templates are not meant, nor is source code that
# handles secrets (credentials.py).
_NAMES: Final = rb"""
    # variables of an environment
    \.env (?: \. (?! (?:.*\.)? (?:example|sample|template|dist|tpl|defaults?) $ ) .+ )?
  | \.envrc
  | (?! (?:example|sample|template)\. ) .+ \.env

    # what tools keep their passwords and tokens in
  | [._]netrc | \.npmrc | \.pypirc | \.pgpass | \.my\.cnf | \.boto | \.s3cfg | \.dockercfg
  | \.git-credentials | \.htpasswd | \.vault[-_](?:token|pass(?:word)?) (?:\.txt)?
  | kaggle\.json | (?:.+\.)? kubeconfig (?:\.ya?ml)? | .+ \.tfstate (?:\.backup)?

    # "credentials", "secrets" and accounts, where they are data
  | (?:.*[-_.])? credentials? (?: \.(?:json|ya?ml|toml|ini|cfg|csv|txt) )?
  | \.?secrets? \.(?:json|ya?ml|toml|ini|cfg|txt)
  | client[-_]secrets? .* \.json
  | (?:.*[-_.])? service[-_]account .* \.json

    # private keys, and what holds them
  | id_(?:rsa|dsa|ecdsa|ed25519) (?:[-_][\w-]+)? (?:\.(?:old|bak|backup|orig))?
  | .+ \.(?:pem|key|ppk|p8|p12|pfx|jks|keystore|kdbx)
"""

# The usual endings of a source tree, none of which a pattern ends with: most names need no more.
_HARMLESS: Final = frozenset(
    b".py .pyi .pyc .ipynb .sh .md .rst .html .css .js .jsx .ts .tsx .c .h .cc .cpp .cu .rs .go "
    b".java .r .jl .so .png .jpg .jpeg .gif .svg .pdf .gz .zip .npy .npz .pt .log".split()
)

_KEY_ENDINGS: Final = (b".pem", b".key")


@cache
def _pattern() -> re.Pattern[bytes]:
    # Made for the first name that needs it: most trees have none, and it takes a millisecond.
    return re.compile(_NAMES, re.VERBOSE | re.IGNORECASE | re.DOTALL)


def secret_names(names: Iterable[bytes]) -> list[bytes]:
    """Those of `names` (of files, without their folders) that secrets usually have."""
    return [
        name
        for name in names
        if name[name.rfind(b".") :] not in _HARMLESS and _pattern().fullmatch(name)
    ]


def may_be_public(path: bytes) -> bool:
    """Whether only the content of the file tells whether it is a secret."""
    return path.lower().endswith(_KEY_ENDINGS)


def is_public(content: bytes) -> bool:
    """Whether what is named like a key is not secret: certificates and public keys.

    Args:
        content: of the file, at least its first megabyte.
    """
    # Keynote's presentations are called .key as well, and are ZIP files.
    return content.startswith(b"PK\x03\x04") or (
        b"-----BEGIN " in content and b"PRIVATE KEY" not in content
    )
