"""Certificates and keys of one control plane, made by the `openssl` command."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

_DAYS = "30"
#: A configuration file of its own: the command-line switches for extensions differ between OpenSSL and LibreSSL.
_CONFIG = """
[req]
prompt = no
distinguished_name = subject
[subject]
{subject}
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
{names}
"""
#: What may stand in a name here: nothing that means something in the configuration file.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9:@._-]*")


@dataclass(frozen=True)
class Authority:
    """A certificate authority whose files live in `folder`."""

    folder: Path

    @property
    def certificate(self) -> Path:
        """The CA's certificate, PEM."""
        return self.folder / "ca.crt"

    @classmethod
    def create(cls, folder: Path) -> "Authority":
        """Make the CA in `folder`, which must exist."""
        authority = cls(folder)
        config = authority._config("ca", ["CN = lab"])
        key = authority._key("ca")
        openssl(
            "req", "-x509", "-new", "-key", key, "-out", authority.certificate, "-days", _DAYS,
            "-config", config, "-extensions", "authority",
        )  # fmt: skip
        return authority

    def issue(
        self, file: str, common_name: str, *, groups: Sequence[str] = (), names: Sequence[str] = ()
    ) -> tuple[Path, Path]:
        """Issue a certificate for a user (`groups` become its organizations) or a server (`names`: `DNS:…`, `IP:…`).

        Returns the paths of the certificate and of the key, PEM, named after `file`.
        """
        for name in (common_name, *groups):
            if not _PLAIN.fullmatch(name):
                raise LabError(f"{name!r} cannot stand in a certificate here: use letters, digits and any of : @ . _ -")
        subject = [f"{number}.O = {group}" for number, group in enumerate(groups)]
        config = self._config(file, [*subject, f"CN = {common_name}"], names)
        key = self._key(file)
        request, certificate = self.folder / f"{file}.csr", self.folder / f"{file}.crt"
        openssl("req", "-new", "-key", key, "-out", request, "-config", config)
        openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.folder / "ca.key",
            "-CAcreateserial", "-days", _DAYS, "-out", certificate, "-extfile", config, "-extensions", "leaf",
        )  # fmt: skip
        return certificate, key

    def signing_keys(self, file: str) -> tuple[Path, Path]:
        """Make a pair of keys for service account tokens; return the paths of the private and the public one, PEM."""
        private, public = self._key(file), self.folder / f"{file}.pub"
        openssl("pkey", "-in", private, "-pubout", "-out", public)
        return private, public

    def _key(self, file: str) -> Path:
        path = self.folder / f"{file}.key"
        path.touch(mode=0o600)
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
        return path

    def _config(self, file: str, subject: Sequence[str], names: Sequence[str] = ()) -> Path:
        path = self.folder / f"{file}.cnf"
        alternatives = f"subjectAltName = {', '.join(names)}" if names else ""
        path.write_text(_CONFIG.format(subject="\n".join(subject), names=alternatives))
        return path


def openssl(*arguments: str | Path, content: bytes = b"") -> bytes:
    """Run the command on some content and return what it printed. Raises LabError where it is missing or fails."""
    command = shutil.which("openssl")
    if command is None:
        raise LabError("the command 'openssl' is missing, and the lab makes its certificates with it: install openssl")
    reply = subprocess.run([command, *map(str, arguments)], input=content, capture_output=True, check=False)
    if reply.returncode != 0:
        raise LabError(f"'openssl {arguments[0]}' failed:\n{reply.stderr.decode(errors='replace').strip()}")
    return reply.stdout
