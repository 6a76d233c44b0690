"""Warnings: each kind once, with counts and the setting that changes it."""

from __future__ import annotations

import pytest
from git_oracle import DEFAULT_EXCLUDES, DEFAULT_SUFFIXES, Sandbox

from slurmic.selection import SelectionRules, SelectionWarning, select

RULES = SelectionRules(DEFAULT_SUFFIXES, DEFAULT_EXCLUDES)


def found(sandbox: Sandbox, warn_added: int = 500) -> list[SelectionWarning]:
    selection = select(sandbox.root, RULES, environ=sandbox.environ, warn_added=warn_added)
    return list(selection.warnings)


def test_nothing_to_warn_of(repository: Sandbox) -> None:
    repository.write(".gitignore", "build/\n")
    repository.write("build/a.py")
    repository.write("a.py")
    (repository.root / "link").symlink_to("a.py")
    assert found(repository) == []


def test_links(repository: Sandbox) -> None:
    repository.write(".gitignore", "ignored.txt")
    repository.write("ignored.txt")
    repository.write("sub/a.py")
    targets = {
        "absolute": "/etc/hostname",
        "up": "../elsewhere",
        "inside-absolute": str(repository.root / "sub/a.py"),
        "dangling": "nowhere",
        "to-ignored": "ignored.txt",
        "file": "sub/a.py",
        "folder": "sub",
        "here": ".",
        "sub/up": "../sub/a.py",
        "sub/out": "../../x",
    }
    for name, target in targets.items():
        (repository.root / name).symlink_to(target)
    outside, dangling = found(repository)
    assert outside.kind == "link_outside"
    assert outside.paths == (b"absolute", b"inside-absolute", b"sub/out", b"up")
    assert outside.message.startswith("4 links out of the tree: ")
    assert dangling.kind == "link_dangling"
    assert dangling.paths == (b"dangling", b"to-ignored")


SECRETS = """
    .env .env.local .ENV .env.prod .env.production.local prod.env .envrc .netrc _netrc .npmrc
    id_rsa id_ed25519_sk id_rsa_github credentials aws_credentials Credentials.json
    gcp-credentials.json service_account_key.json client_secret_12.apps.example.json kubeconfig
    secrets.toml .secrets.yaml secret.yaml terraform.tfstate server.pem tls.key a.kdbx
"""
HARMLESS = """
    .env.example .env.sample example.env .environ environment.yaml id_rsa.pub id_rsa.py keys.py
    credentials.py secrets.md tokens.txt keyboard.key.py monkey.txt account.json
"""


@pytest.mark.parametrize("name", SECRETS.split())
@pytest.mark.parametrize("how", ["discovered", "tracked", "by suffix"])
def test_secrets(repository: Sandbox, name: str, how: str) -> None:
    """A tracked file that a pattern matches was not looked at; nor were many usual names."""
    suffix = (f".{name.rpartition('.')[2]}" if "." in name else name) if how == "by suffix" else "x"
    rules = SelectionRules((suffix,), ())
    repository.write("sub/deep/first")
    for path in (name, f"sub/{name}", f"sub/deep/{name}"):
        repository.write(path)
    repository.write(".gitignore", "*\n!.gitignore\n" if how == "tracked" else "")
    if how == "tracked":
        repository.git("add", "-f", ".")
    (warning,) = select(repository.root, rules, environ=repository.environ).warnings
    assert warning.kind == "secret"
    assert [path.decode() for path in warning.paths] == sorted(
        [name, f"sub/{name}", f"sub/deep/{name}"]
    )
    assert warning.message.startswith("3 files that may hold secrets: ")


def test_what_only_looks_like_a_secret(repository: Sandbox) -> None:
    repository.write(".gitignore", "ignored/")
    for name in (*HARMLESS.split(), "ignored/.env", "ignored/id_rsa"):
        repository.write(name)
    assert found(repository) == []


def test_certificates_and_public_keys_are_no_secrets(repository: Sandbox) -> None:
    """certifi's list of authorities is in every other environment."""
    repository.write(".gitignore", "")
    repository.write("cacert.pem", "\n# Issuer: CN=Root\n-----BEGIN CERTIFICATE-----\nMIID\n")
    repository.write("public.key", "-----BEGIN PUBLIC KEY-----\nMIIB\n")
    repository.write("talk.key", b"PK\x03\x04slides")
    repository.write("both.pem", "-----BEGIN CERTIFICATE-----\n-----BEGIN RSA PRIVATE KEY-----\n")
    repository.write("binary.key", b"\x30\x82\x04")
    (warning,) = found(repository)
    assert warning.paths == (b"binary.key", b"both.pem")


def test_the_hint_on_secrets_is_one_that_helps(repository: Sandbox) -> None:
    """A .gitignore does not keep out what a suffix takes; a new one even lets more in."""

    def hint() -> str:
        (warning,) = found(repository)
        return warning.hint

    repository.write("conf/secrets.toml")
    repository.write(".env")
    suffix = "move it out of code_root, or into a folder that exclude_code_folders names; "
    assert hint() == f"{suffix}.gitignore does not keep it out, because of code_file_suffixes"
    repository.write(".gitignore", "")
    suffix = suffix.replace("move it", "move them")
    assert hint() == (
        f"{suffix}.gitignore does not keep 'conf/secrets.toml' out, because of code_file_suffixes"
    )
    (repository.root / "conf/secrets.toml").unlink()
    assert hint().startswith("add it to .gitignore (and `git rm --cached` what git tracks), or")
    repository.write(".gitignore", ".env\n")
    assert found(repository) == []


def test_a_message_is_one_line_of_text_whatever_the_name(repository: Sandbox) -> None:
    repository.write(".gitignore")
    (repository.root / "a\nb\udcff").symlink_to("/x")
    (warning,) = found(repository)
    assert "'a\\nb\\udcff'" in warning.message
    assert warning.message.isprintable()
    assert warning.paths == (b"a\nb\xff",)
