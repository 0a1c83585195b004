"""The 32-bit unix port: Debian's i386 packages in a cache folder, nothing installed.

`python -m viperip_host.unix32` fetches them once and prints the interpreter's path; debian.py says
from where. Exit status: 0 there, 1 not to be had (one line says why).
"""

import sys
from pathlib import Path

from viperip_host import debian, interpreter
from viperip_host.errors import FAILURE, OK, HostError

SUITE = "trixie"
PACKAGES = debian.Packages(
    architecture="i386",
    suites=(SUITE,),
    machines=("x86_64", "i686"),
    needs="needs Linux on x86: Debian's i386 programs run nowhere else",
    names={
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
    },
)
LIBRARIES = "usr/lib/i386-linux-gnu"
LOADER = "ld-linux.so.2"


def launcher() -> Path:
    """The program to start: it runs the interpreter through its own loader and libraries."""
    return debian.cache(f"unix32-{SUITE}") / "micropython"


def find() -> interpreter.Interpreter:
    """The interpreter, if it has been fetched. HostError when not, or when it cannot run."""
    path = launcher()
    if not path.is_file():
        raise HostError("not fetched yet: python -m viperip_host.unix32")
    found = interpreter.ask(str(path))
    if found.bits != 32:
        raise HostError(f"{path} has {found.bits}-bit words")
    return found


def fetch() -> interpreter.Interpreter:
    """The interpreter, fetched now if need be. HostError when it is not to be had."""
    try:
        return find()
    except HostError:
        debian.fetch(PACKAGES, launcher().parent, _write_launcher)
    return find()


def _write_launcher(root: Path) -> None:
    script = root / launcher().name
    debian.write_launcher(script, launcher().parent, "micropython", LOADER, (LIBRARIES,))


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
