"""`viperip deploy` and `undeploy`, on virtual boards."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from tests.host.command import VIPERIP
from tests.host.vboard import STATIC, VBoard, deployed, deployed_image, vboard
from viperip_host import board_config, boards, deploy, package
from viperip_host.deploy import There
from viperip_host.device_info import DeviceInfo
from viperip_host.errors import HostError, UsageError

__all__ = ["deployed", "deployed_image", "vboard"]


def deploy_to(board: VBoard, *options: str) -> dict[str, object]:
    done = board.viperip("deploy", "--json", *options)
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    return result


def files(board: VBoard) -> list[str]:
    out = board.mpremote("fs", "ls", ":/")
    return [line.split()[1] for line in out.splitlines()[1:]]


def test_a_new_board_gets_everything_and_the_second_time_nothing(vboard: VBoard) -> None:
    first = deploy_to(vboard, "--board", "wt32-eth01")
    assert isinstance(first["written"], int) and first["written"] > len(package.files())
    assert first["profile"] == "wt32-eth01, as you say"
    assert isinstance(first["heap"], int) and 50_000 < first["heap"] < 300_000
    assert isinstance(first["flash_used"], int) and first["flash_used"] > 150_000
    second = deploy_to(vboard)
    assert (second["written"], second["removed"]) == (0, 0)
    assert second["profile"] == "wt32-eth01, which the board had already"
    out = vboard.mpremote("exec", "import viperip; print(viperip.__version__, viperip.board())")
    assert out.startswith(package.version()) and "'LAN8720'" in out
    profile = boards.device_profile(boards.load("wt32-eth01"))
    assert json.loads(vboard.mpremote("fs", "cat", ":viperip_board.json")) == profile


def test_only_what_changed_is_sent_and_what_no_longer_belongs_goes(deployed: VBoard) -> None:
    deployed.mpremote(
        "exec",
        "f = open('/lib/viperip/stack.mpy', 'wb'); f.write(b'broken'); f.close()\n"
        "f = open('/lib/viperip/lan.py', 'w'); f.write('an older deploy'); f.close()\n"
        "f = open('/lib/viperip/errors.mpy.part', 'w'); f.write('half'); f.close()\n"
        "f = open('/lib/mine.py', 'w'); f.write('x = 1'); f.close()",
    )
    again = deploy_to(deployed)
    # What the fixture renamed is no longer where the manifest has it: without --demo nobody asks.
    assert again["written"] == 1
    assert "mine.py" in deployed.mpremote("fs", "ls", ":lib")
    listing = deployed.mpremote("fs", "ls", ":lib/viperip")
    assert "lan.py" not in listing and ".part" not in listing and "lan.mpy" in listing


def test_undeploy_leaves_what_is_not_its_own(deployed: VBoard) -> None:
    deployed.mpremote("exec", "f = open('mine.py', 'w'); f.write('x = 1'); f.close()")
    done = deployed.viperip("undeploy", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["removed"] > len(package.files())
    assert sorted(files(deployed)) == ["demo.py", "mine.py"]
    assert "not on this board" in deployed.viperip("undeploy").stdout


def test_a_boot_py_of_yours_stays_unless_forced(vboard: VBoard) -> None:
    vboard.mpremote("exec", "f = open('boot.py', 'w'); f.write('mine = 1'); f.close()")
    assert deploy_to(vboard, "--board", "wt32-eth01")["kept"] == ["/boot.py"]
    assert vboard.mpremote("fs", "cat", ":boot.py") == "mine = 1"
    assert deploy_to(vboard)["kept"] == ["/boot.py"]
    assert deploy_to(vboard, "--force")["kept"] == []
    assert "DMA" in vboard.mpremote("fs", "cat", ":boot.py")


def test_sources_replace_compiled_files(deployed: VBoard) -> None:
    deploy_to(deployed, "--source")
    listing = deployed.mpremote("fs", "ls", ":lib/viperip")
    assert "stack.py" in listing and ".mpy" not in listing
    assert (
        deployed.mpremote("exec", "import viperip; print(viperip.up().isconnected())") == "True\n"
    )


def there(files: dict[str, str], manifest: dict[str, str]) -> There:
    return There(files, 1 << 20, manifest, None)


def test_compiled_files_replace_sources() -> None:
    source, target = "/lib/viperip/lan.py", "/lib/viperip/lan.mpy"
    for manifest in ({source: "1"}, {}):
        plan = deploy.compare({target: b"M"}, there({source: "1"}, manifest), False)
        assert (plan.write, plan.remove) == ([target], [source])


def test_a_main_py_that_was_changed_since_is_yours() -> None:
    here = {"/main.py": "edited", "/demo/page.html": "p"}
    before = {"/main.py": "as it came", "/demo/page.html": "p"}
    # Without --demo the demo goes, what somebody made of it does not.
    assert deploy.compare({}, there(here, before), False).remove == ["/demo/page.html"]
    with_demo = deploy.compare({"/main.py": b"new"}, there(here, before), False)
    assert (with_demo.write, with_demo.kept) == ([], ["/main.py"])
    assert deploy.compare({"/main.py": b"new"}, there(here, before), True).write == ["/main.py"]


@pytest.mark.parametrize("written", [False, True])
def test_a_cable_pulled_while_boot_py_is_renewed(written: bool) -> None:
    old, new = b"of an older deploy", b"of this one"
    before = {"/boot.py": deploy.digest(old)}
    plan = deploy.compare({"/boot.py": new}, there(before, before), False)
    during = deploy.interim(before, deploy.manifest_of(plan))
    here = {"/boot.py": deploy.digest(new if written else old)}
    again = deploy.compare({"/boot.py": new}, there(here, during), False)
    assert again.kept == [] and again.write == ([] if written else ["/boot.py"])


def test_leftovers_of_others_are_theirs() -> None:
    here = {"/lib/mine.py.part": "1", "/lib/viperip/lan.mpy.part": "2", "/boot.py.part": "3"}
    plan = deploy.compare({}, there(here, {}), False)
    assert plan.remove == ["/lib/viperip/lan.mpy.part", "/boot.py.part"]


def test_a_broken_manifest_is_made_anew(deployed: VBoard) -> None:
    for text in ("half of", '{"files": 7}'):
        deployed.mpremote(
            "exec", f"f = open('viperip_manifest.json', 'w'); f.write({text!r}); f.close()"
        )
        deploy_to(deployed)
        manifest = json.loads(deployed.mpremote("fs", "cat", ":viperip_manifest.json"))
        assert "/lib/viperip/lan.mpy" in manifest["files"]


def test_the_network_configuration_is_used(vboard: VBoard, tmp_path: Path) -> None:
    config = tmp_path / "net.toml"
    config.write_text(STATIC + 'dns = ["10.77.0.9"]\n')
    deploy_to(vboard, "--board", "wt32-eth01", "--config", str(config))
    out = vboard.mpremote(
        "exec",
        "import viperip; lan = viperip.up(); print(lan.ifconfig(), lan.config('hostname'))",
    )
    assert out == "('10.77.0.2', '255.255.255.0', '10.77.0.1', '10.77.0.9') bench\n"


def test_without_a_profile_a_generic_one_is_taken_and_said(vboard: VBoard) -> None:
    done = vboard.viperip("deploy")
    assert done.returncode == 0, done.stderr
    first = done.stdout.splitlines()[0]
    assert first.startswith("profile: lan8720-module, the generic one")
    assert "wt32-eth01" in first and "--board" in first


def test_a_pulled_cable_and_the_next_run(vboard: VBoard) -> None:
    command = [*VIPERIP, "deploy", "--port", vboard.port, "--board", "wt32-eth01"]
    image = vboard.state / "filesystem.img"
    vboard.mpremote("exec", "pass")
    for seconds in (0.5, 1.5):
        before = image.stat().st_mtime_ns
        running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + 30
        while image.stat().st_mtime_ns == before:
            assert running.poll() is None and time.monotonic() < end
            time.sleep(0.02)
        # It writes now; somewhere in the middle:
        time.sleep(seconds)
        vboard.unplug()
        _, error = running.communicate(timeout=30)
        assert running.returncode == 1
        assert len(error.splitlines()) == 1 and "the board has gone" in error
        vboard.start()
        command[command.index("--port") + 1] = vboard.port
    result = deploy_to(vboard, "--board", "wt32-eth01")
    assert isinstance(result["unchanged"], int) and result["unchanged"] > 0
    assert deploy_to(vboard)["written"] == 0
    assert ".part" not in vboard.mpremote("fs", "ls", ":lib/viperip")


def test_a_full_filesystem_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with VBoard(tmp_path, "--flash-size", "256K") as board:
        done = board.viperip("deploy", "--board", "wt32-eth01")
        assert done.returncode == 1
        assert "KB free, viperip needs" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert files(board) == []


def test_a_filesystem_that_becomes_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from viperip_host import connection

    with VBoard(tmp_path, "--flash-size", "256K") as board, connection.connect(board.port) as c:
        c.run("f = open('filler', 'wb')\nfor i in range(26): f.write(bytes(8192))\nf.close()")
        writer = deploy.Writer(c, lambda n: None)
        writer.write("/small.bin", b"x")
        with pytest.raises(HostError, match="filesystem is full.*goes on with /large.bin"):
            writer.write("/large.bin", bytes(60_000))
        assert "/large.bin.part" not in deploy.look(c, ("/large.bin.part",)).files


def test_the_wrong_chip_is_refused(vboard: VBoard) -> None:
    done = vboard.viperip("deploy", "--board", "w5500-esp32s3")
    assert done.returncode == 1
    assert "its chip is esp32s3, this board has esp32" in done.stderr


def test_romfs_says_in_one_line_what_is_missing(vboard: VBoard) -> None:
    done = vboard.viperip("deploy", "--romfs")
    assert done.returncode == 1
    assert "no ROM filesystem" in done.stderr and len(done.stderr.splitlines()) == 1


# A board's firmware has these in C. The partition is a file here, so that it survives resets.
ROM = """
import sys, vfs
class Fake:
    VfsRom = vfs.VfsRom
    mount, umount = vfs.mount, vfs.umount
    def rom_ioctl(*a):
        global image
        if a[0] == 1:
            return 1
        if a[0] == 2:
            return image
        if a[0] == 4:
            image[a[2]:a[2] + len(a[3])] = a[3]
        if a[0] == 5:
            with open("rom.img", "wb") as f:
                f.write(image)
        return 4096 if a[0] in (3, 6) else 0
    rom_ioctl = staticmethod(rom_ioctl)
try:
    with open("rom.img", "rb") as f:
        image = bytearray(f.read())
    vfs.mount(vfs.VfsRom(image), "/rom")
    sys.path.append("/rom/lib")
except OSError:
    image = bytearray(400000)
sys.modules["vfs"] = Fake
"""


def test_a_rom_filesystem_is_written_by_mpremote_once(vboard: VBoard) -> None:
    from viperip_host import connection, romfs

    vboard.mpremote("exec", f"f = open('boot.py', 'w'); f.write({ROM!r}); f.close()")
    rom = {"/lib/viperip/__init__.py": b"where = __file__\n"}
    with connection.connect(vboard.port) as board:
        board.soft_reset()
        romfs.deploy(board, rom, False)
        board.soft_reset()
        where = board.run("import viperip; print(viperip.where)")
        assert where.strip() == "/rom/lib/viperip/__init__.py"
        before = board.transport
        romfs.deploy(board, rom, False)
        assert board.transport is before  # nothing to write: the port was not given away
        romfs.deploy(board, {**rom, "/lib/mine.py": b""}, False)
        board.soft_reset()
        with pytest.raises(HostError, match="has /rom/lib/mine.py of yours: --force"):
            romfs.deploy(board, rom, False)
        romfs.deploy(board, rom, True)
        with pytest.raises(HostError, match="holds 390 KB, viperip needs 48"):
            romfs.deploy(board, {"/lib/viperip/large.py": bytes(500_000)}, True)


def test_with_a_rom_filesystem_the_flash_holds_no_second_package() -> None:
    here = {"/lib/viperip/lan.py": "by mip", "/lib/viperip/own.py": "yours", "/main.py": "yours"}
    rom = ["/lib/viperip/lan.mpy"]
    plan = deploy.compare({"/boot.py": b""}, there(here, {}), False, rom)
    assert (plan.write, plan.remove) == (["/boot.py"], ["/lib/viperip/lan.py"])


def test_the_image_of_a_rom_filesystem(tmp_path: Path) -> None:
    from viperip_host import interpreter, romfs

    found = interpreter.find()
    ask = "import sys; print(sys.implementation._mpy)"
    done = subprocess.run([found.path, "-c", ask], capture_output=True, text=True, check=True)
    info = DeviceInfo((1, 29, 0), "with ESP32", int(done.stdout), True, 0, 0, False, None)
    image = tmp_path / "viperip.romfs"
    files = dict(deploy.compiled(info, False, False))
    image.write_bytes(romfs.build({p: d for p, d in files.items() if p.startswith("/lib/")}))
    code = (
        "import vfs, sys\n"
        f"vfs.mount(vfs.VfsRom(memoryview(open({str(image)!r}, 'rb').read())), '/rom')\n"
        "sys.path[:] = ['/rom/lib']\nimport viperip\nprint(viperip.__file__, viperip.LAN)"
    )
    done = subprocess.run([found.path, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("/rom/lib/viperip/__init__.mpy <class 'LAN'>")


@pytest.mark.parametrize(
    ("info", "said"),
    [
        (DeviceInfo((1, 19, 1), "with ESP32", 0, True, 0, 0, False, None), "too old"),
        (DeviceInfo((1, 29, 0), "with ESP32", 0, True, 0, 0, True, None), "PSRAM"),
    ],
)
def test_firmware_that_cannot_run_it(info: DeviceInfo, said: str) -> None:
    assert said in info.problems()[0]


def test_mpy_files_of_another_version() -> None:
    info = DeviceInfo((1, 18, 0), "with ESP32", 5 | 10 << 10, True, 0, 0, False, None)
    with pytest.raises(HostError, match=r"version 5\.0, mpy-cross makes 6.*--source"):
        dict(deploy.compiled(info, False, False))


def test_without_an_emitter_the_twins_come_along() -> None:
    info = DeviceInfo((1, 29, 0), "", 6, False, 0, 0, False, None)
    names = [path for path, _ in deploy.compiled(info, True, False)]
    assert "/lib/viperip/bytecode/serial.py" in names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = ", "--config"),
        ("colour = 1", "colour is unknown"),
        ("hostname = 7", "hostname is text"),
        ('hostname = "two words"', "letters, digits"),
        ("network = 1", "[network]"),
        ("[network]\nmtu = 1", "network.mtu is unknown"),
        ('[network]\naddress = "10.0.0.2"', "prefix"),
        ('[network]\naddress = "10.0.0.2/24"\ngateway = "10.0.1.1"', "is not in 10.0.0.0/24"),
        ('[network]\naddress = "10.0.0.2/24"\ndhcp = true', "exclude each other"),
        ('[network]\ngateway = "10.0.0.1"', "network.address is missing"),
        ("[network]\ndhcp = false", "network.address is missing"),
        ('[network]\ndns = "10.0.0.1"', "network.dns is a list"),
        ('[network]\ndns = ["name"]', "no IPv4 address"),
    ],
)
def test_a_wrong_configuration(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        board_config.load(str(path))
    assert said in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_a_configuration_that_is_not_there(vboard: VBoard) -> None:
    done = vboard.viperip("deploy", "--config", "/no/such.toml")
    assert done.returncode == 2 and "--config /no/such.toml" in done.stderr
