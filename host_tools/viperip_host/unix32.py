"""The 32-bit unix port: Debian's i386 packages in a cache folder, nothing installed.

`python -m viperip_host.unix32` fetches them once and prints the interpreter's path. The packages
come from the machine's own mirror, as its apt is configured, with a private apt state; no root.
Exit status: 0 there, 1 not to be had (one line says why).
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from viperip_host import interpreter
from viperip_host.errors import FAILURE, OK, HostError

SUITE = "trixie"
# By name, from whatever the suite's index lists; and as the files that did the job, for a mirror
# whose index is out of step with its release file (apt refuses that until its next sync is over).
PACKAGES = {
    "micropython": (
        "pool/main/m/micropython/micropython_1.25.0+ds-1_i386.deb",
        "a72799821cb45442150f8a7f0757bc8e4f9a4b64abccbd837d694a20d6900bb5",
    ),
    "libc6": (
        "pool/main/g/glibc/libc6_2.41-12+deb13u4_i386.deb",
        "67bb4b54cf4bb6a380449dfa1852cd9135659f85360caa0e41d312f4b30e573a",
    ),
    "libffi8": (
        "pool/main/libf/libffi/libffi8_3.4.8-2_i386.deb",
        "8bafefb38c320ca27796070c881595ce04d900c3b534ac142a494daf1fe1db13",
    ),
    "libgcc-s1": (
        "pool/main/g/gcc-14/libgcc-s1_14.2.0-19_i386.deb",
        "a4c71fd856d2a48a7505a087b4186e3cca23f94603c05e3fb7c799b27e72f761",
    ),
    "libmbedtls21": (
        "pool/main/m/mbedtls/libmbedtls21_3.6.6-0.1~deb13u1_i386.deb",
        "eb1b20154ce9008aca1d036698ffc12019020a54985d2c5ae3dc1c1c39c9e995",
    ),
    "libmbedcrypto16": (
        "pool/main/m/mbedtls/libmbedcrypto16_3.6.6-0.1~deb13u1_i386.deb",
        "aa4698ed436eebf77e3dc9f5c514073bd554109d857d887db5a367dde9a5c377",
    ),
    "libmbedx509-7": (
        "pool/main/m/mbedtls/libmbedx509-7_3.6.6-0.1~deb13u1_i386.deb",
        "fe6ba192c9227d30a4cd05a3bdeccdf9ff30d55b27d8ff488126c16dcf727cce",
    ),
}
APT_HELPER = "/usr/lib/apt/apt-helper"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
LIBRARIES = "usr/lib/i386-linux-gnu"
# Debian names its suites after code names; a mirror serves all of them below one address.
_TARGETS = "$(RELEASE) $(COMPONENT) $(REPO_URI)"


def folder() -> Path:
    """Where the interpreter lies, or will."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "viperip" / f"unix32-{SUITE}"


def launcher() -> Path:
    """The program to start: it runs the interpreter through its own loader and libraries."""
    return folder() / "micropython"


def find() -> interpreter.Interpreter:
    """The interpreter, if it has been fetched. HostError when not, or when it cannot run."""
    path = launcher()
    if not path.is_file():
        raise HostError("not fetched yet: .venv/bin/python -m viperip_host.unix32")
    found = interpreter.ask(str(path))
    if found.bits != 32:
        raise HostError(f"{path} has {found.bits}-bit words")
    return found


def fetch() -> interpreter.Interpreter:
    """The interpreter, fetched now if need be. HostError when it is not to be had."""
    try:
        return find()
    except HostError:
        _check_machine()
    target = folder()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="unix32-") as work:
        root = _download(Path(work))
        _write_launcher(root, target)
        # Complete before it appears under its name: two fetches at once do no harm.
        shutil.rmtree(target, ignore_errors=True)
        root.rename(target)
    return find()


def _check_machine() -> None:
    if platform.system() != "Linux" or platform.machine() not in ("x86_64", "i686"):
        raise HostError("needs Linux on x86: Debian's i386 programs run nowhere else")
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise HostError(f"{tool} is missing: needs a Debian or a system like it")
    if not KEYRING.is_file():
        raise HostError(f"{KEYRING} is missing: apt-get install debian-archive-keyring")


def _run(
    command: list[str], cwd: Path | None = None, environment: dict[str, str] | None = None
) -> str:
    """The command's stdout. HostError with its last line of complaint."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C", **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise HostError(f"{command[0]} took more than 300 s") from None
    if done.returncode:
        complaint = (done.stderr.strip() or done.stdout.strip() or "no reason").splitlines()[-1]
        raise HostError(f"{' '.join(command[:2])}: {complaint}")
    return done.stdout


def mirror() -> str:
    """The address this machine's apt takes Debian's main packages from."""
    listing = _run(["apt-get", "indextargets", "--format", _TARGETS, "Created-By: Packages"])
    rows = [line.split() for line in listing.splitlines()]
    # "bookworm-security" and "bookworm-updates" have a hyphen; the suite itself has none.
    plain = [row[2] for row in rows if len(row) == 3 and row[1] == "main" and "-" not in row[0]]
    for uri in plain:
        if uri.rstrip("/").endswith("debian"):
            return uri
    if plain:
        return plain[0]
    raise HostError("apt on this machine names no mirror with a section main")


def _download(work: Path) -> Path:
    """Packages fetched into WORK and unpacked; the folder that holds usr/."""
    for name in ("state/lists/partial", "cache/archives/partial", "packages"):
        (work / name).mkdir(parents=True)
    (work / "status").touch()
    (work / "sources.list").write_text(
        f"deb [arch=i386 signed-by={KEYRING}] {mirror()} {SUITE} main\n"
    )
    config = work / "apt.conf"
    config.write_text(
        f'Dir::Etc::SourceList "{work}/sources.list";\n'
        'Dir::Etc::SourceParts "/dev/null";\n'
        f'Dir::State "{work}/state";\n'
        f'Dir::State::status "{work}/status";\n'
        f'Dir::Cache "{work}/cache";\n'
        'APT::Architecture "i386";\n'
        'APT::Architectures "i386";\n'
        # apt's own user may not enter a home folder.
        'APT::Sandbox::User "root";\n'
        'Acquire::Languages "none";\n'
        'Acquire::Retries "3";\n'
    )
    settings = {"APT_CONFIG": str(config)}
    packages = work / "packages"
    try:
        _run(["apt-get", "update"], environment=settings)
        _run(["apt-get", "download", *PACKAGES], cwd=packages, environment=settings)
    except HostError as error:
        try:
            _download_pinned(packages, settings)
        except HostError as other:
            raise HostError(f"{error}; and without the index: {other}") from None
    root = work / "root"
    for package in sorted(packages.glob("*.deb")):
        _run(["dpkg-deb", "-x", str(package), str(root)])
    return root


def _download_pinned(packages: Path, settings: dict[str, str]) -> None:
    """The files named above, whatever the index says; apt-helper checks their sums."""
    base = mirror().rstrip("/")
    for path, sha256 in PACKAGES.values():
        target = packages / Path(path).name
        command = [APT_HELPER, "download-file", f"{base}/{path}", str(target)]
        _run([*command, f"SHA256:{sha256}"], environment=settings)


def _write_launcher(root: Path, target: Path) -> None:
    libraries = target / LIBRARIES
    script = root / "micropython"
    script.write_text(
        "#!/bin/sh\n"
        f"exec '{libraries}/ld-linux.so.2' --library-path '{libraries}' "
        f"'{target}/usr/bin/micropython' \"$@\"\n"
    )
    script.chmod(0o755)


def main() -> int:
    try:
        found = fetch()
    except HostError as error:
        print(f"viperip: the 32-bit unix port: {error}", file=sys.stderr)
        return FAILURE
    print(found.line)
    return OK


if __name__ == "__main__":
    sys.exit(main())
