"""Debian packages in a cache folder, nothing installed.

They come from the machine's own mirror, as its apt is configured, with a private apt state; no
root.
"""

import contextlib
import os
import platform
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from viperip_host.errors import HostError

APT_HELPER = "/usr/lib/apt/apt-helper"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# Debian names its suites after code names; a mirror serves all of them below one address.
_TARGETS = "$(RELEASE) $(COMPONENT) $(REPO_URI)"


@dataclass(frozen=True)
class Packages:
    """What to fetch, and what it is called where it cannot be fetched.

    names, by what apt-get download takes (NAME or NAME/SUITE): from whatever the suites' indexes
    list. To each the file that did the job and its SHA-256, for a mirror whose index is out of
    step with its release file (apt refuses that until its next sync is over).
    """

    architecture: str
    suites: tuple[str, ...]
    names: dict[str, tuple[str, str]]
    machines: tuple[str, ...]
    needs: str


def cache(name: str) -> Path:
    """The folder NAME in this user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "viperip" / name


def fetch(packages: Packages, target: Path, finish: Callable[[Path], None]) -> None:
    """Unpack the packages, finish(the folder with usr/), and make it TARGET, all or nothing."""
    check_machine(packages)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{target.name}-") as work:
        root = download(packages, Path(work))
        finish(root)
        # Complete before it appears under its name: two fetches at once do no harm.
        shutil.rmtree(target, ignore_errors=True)
        root.rename(target)


def check_machine(packages: Packages) -> None:
    """HostError where the packages would be of no use, or cannot be had."""
    if platform.system() != "Linux" or platform.machine() not in packages.machines:
        raise HostError(packages.needs)
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise HostError(f"{tool} is missing: needs a Debian or a system like it")
    if not KEYRING.is_file():
        raise HostError(f"{KEYRING} is missing: apt-get install debian-archive-keyring")


def run(
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
    listing = run(["apt-get", "indextargets", "--format", _TARGETS, "Created-By: Packages"])
    rows = [line.split() for line in listing.splitlines()]
    # "bookworm-security" and "bookworm-updates" have a hyphen; the suite itself has none.
    plain = [row[2] for row in rows if len(row) == 3 and row[1] == "main" and "-" not in row[0]]
    for uri in plain:
        if uri.rstrip("/").endswith("debian"):
            return uri
    if plain:
        return plain[0]
    raise HostError("apt on this machine names no mirror with a section main")


def download(packages: Packages, work: Path) -> Path:
    """Packages fetched into WORK and unpacked; the folder that holds usr/."""
    settings = _private_apt(
        work,
        packages.architecture,
        [
            f"deb [arch={packages.architecture} signed-by={KEYRING}] {mirror()} {suite} main"
            for suite in packages.suites
        ],
    )
    files = work / "packages"
    try:
        run(["apt-get", "update"], environment=settings)
        run(["apt-get", "download", *packages.names], cwd=files, environment=settings)
    except HostError as error:
        try:
            _download_pinned(packages, files, settings)
        except HostError as other:
            raise HostError(f"{error}; and without the index: {other}") from None
    root = work / "root"
    for package in sorted(files.glob("*.deb")):
        run(["dpkg-deb", "-x", str(package), str(root)])
    return root


def source(name: str, suite: str, work: Path) -> Path:
    """The source package NAME fetched into WORK; its .orig archive. apt checks the sums."""
    sources = [f"deb-src [signed-by={KEYRING}] {mirror()} {suite} main"]
    settings = _private_apt(work, "amd64", sources)
    files = work / "packages"
    run(["apt-get", "update"], environment=settings)
    run(["apt-get", "source", "--download-only", name], cwd=files, environment=settings)
    found = sorted(files.glob("*.orig.tar.*"))
    if not found:
        raise HostError(f"the source package {name} has no .orig archive")
    return found[0]


def _private_apt(work: Path, architecture: str, sources: list[str]) -> dict[str, str]:
    """The environment of an apt whose state is all in WORK, and which knows these SOURCES."""
    for name in ("state/lists/partial", "cache/archives/partial", "packages"):
        (work / name).mkdir(parents=True)
    (work / "status").touch()
    (work / "sources.list").write_text("".join(f"{line}\n" for line in sources))
    config = work / "apt.conf"
    config.write_text(
        f'Dir::Etc::SourceList "{work}/sources.list";\n'
        'Dir::Etc::SourceParts "/dev/null";\n'
        f'Dir::State "{work}/state";\n'
        f'Dir::State::status "{work}/status";\n'
        f'Dir::Cache "{work}/cache";\n'
        f'APT::Architecture "{architecture}";\n'
        f'APT::Architectures "{architecture}";\n'
        # apt's own user may not enter a home folder.
        'APT::Sandbox::User "root";\n'
        'Acquire::Languages "none";\n'
        'Acquire::Retries "3";\n'
    )
    return {"APT_CONFIG": str(config)}


def write_launcher(
    script: Path,
    target: Path,
    program: str,
    loader: str,
    libraries: tuple[str, ...],
    flags: str = "",
) -> None:
    """Write a shell script that runs usr/bin/PROGRAM of TARGET on its own loader and libraries.

    LIBRARIES are folders of TARGET, the loader in the first; FLAGS go before those it is given.
    """
    folders = [f"{target}/{folder}" for folder in libraries]
    script.write_text(
        "#!/bin/sh\n"
        # No cache of the loader: it names the machine's own libraries.
        f"exec '{folders[0]}/{loader}' --inhibit-cache --library-path '{':'.join(folders)}' "
        f"'{target}/usr/bin/{program}' {flags}\"$@\"\n"
    )
    script.chmod(0o755)


def _download_pinned(packages: Packages, files: Path, settings: dict[str, str]) -> None:
    """The files that are pinned, whatever the index says; apt-helper checks their sums."""
    # What the index did give may be another version of the same.
    for package in files.glob("*.deb"):
        package.unlink()
    base = mirror().rstrip("/")
    for path, sha256 in packages.names.values():
        target = files / Path(path).name
        command = [APT_HELPER, "download-file", f"{base}/{path}", str(target)]
        run([*command, f"SHA256:{sha256}"], environment=settings)


@contextlib.contextmanager
def building(
    target: Path, package: str, suite: str, tools: tuple[str, ...], needs: str
) -> Iterator[tuple[Path, Path]]:
    """(unpacked source of PACKAGE, its archive), in a temporary folder beside TARGET's.

    HostError: a tool is missing (NEEDS says what to have), or the source cannot be had."""
    for tool in ("apt-get", "make", *tools):
        if shutil.which(tool) is None:
            raise HostError(f"{tool} is missing: {needs}")
    if not KEYRING.is_file():
        raise HostError(f"{KEYRING} is missing: apt-get install debian-archive-keyring")
    cache = target.parent.parent
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=f"{target.stem}-") as folder:
        archive = source(package, suite, Path(folder))
        with tarfile.open(archive) as opened:
            opened.extractall(Path(folder) / "source", filter="data")
        (top,) = (Path(folder) / "source").iterdir()
        yield top, archive


def make(folder: Path, *arguments: str) -> None:
    """Run make in a folder, on all processors. HostError with its last words."""
    run(["make", "-C", str(folder), f"-j{os.cpu_count() or 1}", *arguments])


def keep(built: Path, target: Path) -> None:
    """Copy what was built to TARGET, which appears complete: two builds at once do no harm."""
    with tempfile.TemporaryDirectory(dir=target.parent.parent, prefix="made-") as folder:
        made = Path(folder) / "made"
        made.mkdir()
        shutil.copy(built, made / target.name)
        shutil.rmtree(target.parent, ignore_errors=True)
        made.rename(target.parent)
