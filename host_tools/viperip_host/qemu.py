"""QEMU's model of a DesignWare Ethernet MAC, the referee of the driver: fetched, and started.

`python -m viperip_host.qemu` fetches Debian's packages once into a cache folder (debian.py says
from where), with the libraries they need, and prints the version. Exit status: 0 there, 1 not to
be had (one line says why). A QEMU on PATH that is new enough does as well.
"""

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from viperip_host import debian
from viperip_host.errors import FAILURE, OK, HostError

SUITE = "bookworm-backports"
PROGRAM = "qemu-system-arm"
OLDEST = 9  # the first with the model npcm-gmac
PACKAGES = debian.Packages(
    architecture="amd64",
    suites=("bookworm", SUITE),
    machines=("x86_64",),
    needs="needs Linux on x86-64, or a qemu-system-arm of version 9 or newer on PATH",
    names={
        "libaio1": (
            "pool/main/liba/libaio/libaio1_0.3.113-4_amd64.deb",
            "d1476e4beab3d85f8a7d31de94c27472711ed3ef399ce70708e24b259426125b",
        ),
        "libblkid1": (
            "pool/main/u/util-linux/libblkid1_2.38.1-5+deb12u3_amd64.deb",
            "5a083377f29191cafcdf0f91ec124349b4a7895b531556633a136e43c6d53943",
        ),
        "libbpf1": (
            "pool/main/libb/libbpf/libbpf1_1.1.2-0+deb12u1_amd64.deb",
            "5e7505ef77ebc84ad0203411e4afdeb8a98f40fb7f78f013aa4dd8710e49f8ed",
        ),
        "libc6": (
            "pool/main/g/glibc/libc6_2.36-9+deb12u14_amd64.deb",
            "ba4f88f73dbc3ae9055f3c20f4523bfdbaf1ad13ff95e258924f77d20b4fbedf",
        ),
        "libcapstone4": (
            "pool/main/c/capstone/libcapstone4_4.0.2-5_amd64.deb",
            "41277f0388184f6e3b9fc02eda3184afbc999314b25b77ed75e8049428bdfe5e",
        ),
        "libdaxctl1": (
            "pool/main/n/ndctl/libdaxctl1_76.1-1_amd64.deb",
            "af5f9ffe642ae25301eb88fdb2fa9e3c06dcfc5e131fbcee7575adf0adcc9abb",
        ),
        "libelf1": (
            "pool/main/e/elfutils/libelf1_0.188-2.1_amd64.deb",
            "619add379c606b3ac6c1a175853b918e6939598a83d8ebadf3bdfd50d10b3c8c",
        ),
        "libfdt1": (
            "pool/main/d/device-tree-compiler/libfdt1_1.6.1-4+b1_amd64.deb",
            "e7312b61267979a58ae1fa9e34746d077707560c955f6455d02a9ff0f8fa7995",
        ),
        "libffi8": (
            "pool/main/libf/libffi/libffi8_3.4.4-1_amd64.deb",
            "6d9f6c25c30efccce6d4bceaa48ea86c329a3432abb360a141f76ac223a4c34a",
        ),
        "libfuse3-3": (
            "pool/main/f/fuse3/libfuse3-3_3.14.0-4_amd64.deb",
            "bf535cec5e965823fd03199b4029f9e9f3952111eb12824b5d2b96c8cca1a918",
        ),
        "libglib2.0-0": (
            "pool/main/g/glib2.0/libglib2.0-0_2.74.6-2+deb12u9_amd64.deb",
            "7ff85197685d89e150e342b29a59aab1beee400050ba7da73de81cd999ffee5a",
        ),
        "libgmp10": (
            "pool/main/g/gmp/libgmp10_6.2.1+dfsg1-1.1_amd64.deb",
            "187aedef2ed763f425c1e523753b9719677633c7eede660401739e9c893482bd",
        ),
        "libgnutls30": (
            "pool/main/g/gnutls28/libgnutls30_3.7.9-2+deb12u7_amd64.deb",
            "30abec8c824feb1d2d7e9000a34083cccd19d139625e1b21547e3ac53b922f8e",
        ),
        "libhogweed6": (
            "pool/main/n/nettle/libhogweed6_3.8.1-2_amd64.deb",
            "ed8185c28b2cb519744a5a462dcd720d3b332c9b88a1d0002eac06dc8550cb94",
        ),
        "libibverbs1": (
            "pool/main/r/rdma-core/libibverbs1_44.0-2_amd64.deb",
            "35054815259fee46173240254246d03b673a5cd5c528aaac96fd15ac428a8d59",
        ),
        "libidn2-0": (
            "pool/main/libi/libidn2/libidn2-0_2.3.3-1+b1_amd64.deb",
            "d50716d5824083d667427817d506b45d3f59dc77e1ca52de000f3f62d4918afa",
        ),
        "libjpeg62-turbo": (
            "pool/main/libj/libjpeg-turbo/libjpeg62-turbo_2.1.5-2_amd64.deb",
            "95ec30140789a342add8f8371ed018924de51b539056522b66f207b25cba9cad",
        ),
        "libkmod2": (
            "pool/main/k/kmod/libkmod2_30+20221128-1_amd64.deb",
            "af63bbbfc15fbd1f254b15c393b3b95b18b18cc81348fc1b4f1c9c34b4d672d7",
        ),
        "liblzma5": (
            "pool/main/x/xz-utils/liblzma5_5.4.1-1+deb12u1_amd64.deb",
            "f96d8876b53ec89d76a992bc199679b818cf518225a768954d9451fb556a4eb7",
        ),
        "libmount1": (
            "pool/main/u/util-linux/libmount1_2.38.1-5+deb12u3_amd64.deb",
            "f46e2d6b006951825adde9757790b6609d7c66c7700f9b68f3db913eaac323c3",
        ),
        "libndctl6": (
            "pool/main/n/ndctl/libndctl6_76.1-1_amd64.deb",
            "3654dd3a0a05fdc28af8bcd307109ec41a9ea92218bf29816ff467a8c5e7d57f",
        ),
        "libnettle8": (
            "pool/main/n/nettle/libnettle8_3.8.1-2_amd64.deb",
            "45922e6e289ffd92f0f92d2bb9159e84236ff202d552a461bf10e5335b3f0261",
        ),
        "libnl-3-200": (
            "pool/main/libn/libnl3/libnl-3-200_3.7.0-0.2+b1_amd64.deb",
            "d1fc3e9eb8e79b4c96b0a64c3d8c9e068ae2f665cab71bd19f417ffd0453a890",
        ),
        "libnl-route-3-200": (
            "pool/main/libn/libnl3/libnl-route-3-200_3.7.0-0.2+b1_amd64.deb",
            "0fdcc425ae2982788c085c76a7cb0eda3e3db99d41bd1ce56082ee18e9f1e21f",
        ),
        "libnuma1": (
            "pool/main/n/numactl/libnuma1_2.0.16-1_amd64.deb",
            "639e1ab6bd66ead40db8a22c332d7199679fa22db261cac34444eb8eb4c17dda",
        ),
        "libp11-kit0": (
            "pool/main/p/p11-kit/libp11-kit0_0.24.1-2_amd64.deb",
            "251330faddbf013f060fcdb41f4b0c037c8a6e89ba7c09b04bfcc4e3f0807b22",
        ),
        "libpcre2-8-0": (
            "pool/main/p/pcre2/libpcre2-8-0_10.42-1_amd64.deb",
            "030db54f4d76cdfe2bf0e8eb5f9efea0233ab3c7aa942d672c7b63b52dbaf935",
        ),
        "libpixman-1-0": (
            "pool/main/p/pixman/libpixman-1-0_0.42.2-1_amd64.deb",
            "9ed75ef81b6b1eba9e1357f8b0ce01d31112b0e07b2b685bee2cf627a8932892",
        ),
        "libpmem1": (
            "pool/main/p/pmdk/libpmem1_1.12.1-2_amd64.deb",
            "63ed00821aecdb5537b51b6f378cf571144d02ac3af2f95141bfa0e397359a76",
        ),
        "libpng16-16": (
            "pool/main/libp/libpng1.6/libpng16-16_1.6.39-2+deb12u5_amd64.deb",
            "a56d64bfaa9da12aafb83347909e62e6fd5fd251e6b34c194065911a30359978",
        ),
        "librdmacm1": (
            "pool/main/r/rdma-core/librdmacm1_44.0-2_amd64.deb",
            "16b18625834371d023b81477823074ea0d34c478d58dbef3f01107984f47d034",
        ),
        "libsasl2-2": (
            "pool/main/c/cyrus-sasl2/libsasl2-2_2.1.28+dfsg-10_amd64.deb",
            "11ee190ad39f8d7af441d2c8347388b9449434c73acc67b4b372445ac4152efa",
        ),
        "libseccomp2": (
            "pool/main/libs/libseccomp/libseccomp2_2.5.4-1+deb12u1_amd64.deb",
            "108fe67957ca7cf9ba51d801118a1b37d404bea7b6e365025cd00779e9eca38d",
        ),
        "libselinux1": (
            "pool/main/libs/libselinux/libselinux1_3.4-1+b6_amd64.deb",
            "2b07f5287b9105f40158b56e4d70cc1652dac56a408f3507b4ab3d061eed425f",
        ),
        "libslirp0": (
            "pool/main/libs/libslirp/libslirp0_4.7.0-1_amd64.deb",
            "e21e19f0e99e57f254162f61416ea82f00cbc6ab9eb6bead4f5a5a8944ede27e",
        ),
        "libssl3": (
            "pool/main/o/openssl/libssl3_3.0.20-1~deb12u2_amd64.deb",
            "89be24b41bff568ee6e7caf5680a3d808e80315ed92e407056ce0fa7a5bda025",
        ),
        "libtasn1-6": (
            "pool/main/libt/libtasn1-6/libtasn1-6_4.19.0-2+deb12u1_amd64.deb",
            "2c27c613b69be248d09432839ea3d3382f6ee27fabaa65987aa2d884cd00afda",
        ),
        "libudev1": (
            "pool/main/s/systemd/libudev1_252.39-1~deb12u2_amd64.deb",
            "6f7e08f11c4809d2e5998c775f7b423ab5ec2ce0309494b4a2615037052245e2",
        ),
        "libunistring2": (
            "pool/main/libu/libunistring/libunistring2_1.0-2_amd64.deb",
            "d466bbfe011d764d793c1d9d777cad9c7cf65b938e11598f27408171ad95a951",
        ),
        "liburing2": (
            "pool/main/libu/liburing/liburing2_2.3-3_amd64.deb",
            "c23077e3640e6cb4b819c134b3f41d5cf21b3edac099654b1b4142c3069a39a3",
        ),
        "libuuid1": (
            "pool/main/u/util-linux/libuuid1_2.38.1-5+deb12u3_amd64.deb",
            "5fff398321da62d28a842bcbabd193d72ae21724962c029dc32b1dc6b2deaeaf",
        ),
        "libvdeplug2": (
            "pool/main/v/vdeplug4/libvdeplug2_4.0.1-4_amd64.deb",
            "1ace8e6571009bb4b8e3c5e093609f30f3ffca96578d35d61100f1e73fd2110d",
        ),
        "libzstd1": (
            "pool/main/libz/libzstd/libzstd1_1.5.4+dfsg2-5_amd64.deb",
            "6315b5ac38b724a710fb96bf1042019398cb656718b1522279a5185ed39318fa",
        ),
        "qemu-system-arm/bookworm-backports": (
            "pool/main/q/qemu/qemu-system-arm_10.0.2+ds-2+deb13u1~bpo12+1_amd64.deb",
            "edebbab09db3882c48ef9c00049c7c6a2d76d195cb88d830baadd1fb705bbc66",
        ),
        "qemu-system-data/bookworm-backports": (
            "pool/main/q/qemu/qemu-system-data_10.0.2+ds-2+deb13u1~bpo12+1_all.deb",
            "2d831088187087013b3fcbd19bdfb955b182a2d5a08f6dafa0ad1c6d2007fb4e",
        ),
        "zlib1g": (
            "pool/main/z/zlib/zlib1g_1.2.13.dfsg-1_amd64.deb",
            "d7dd1d1411fedf27f5e27650a6eff20ef294077b568f4c8c5e51466dc7c08ce4",
        ),
    },
)
LIBRARIES = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")
LOADER = "ld-linux-x86-64.so.2"


def launcher() -> Path:
    """The program to start: it runs QEMU through its own loader and libraries."""
    return debian.cache(f"qemu-{SUITE}") / PROGRAM


def find() -> str:
    """The path of a QEMU that will do. HostError when there is none, or it cannot run."""
    path = launcher()
    if path.is_file():
        version(str(path))
        return str(path)
    here = shutil.which(PROGRAM)
    if here is None:
        raise HostError("QEMU is not fetched yet: python -m viperip_host.qemu")
    found = version(here)
    if int(found.partition(".")[0]) < OLDEST:
        raise HostError(f"{here} is QEMU {found}, too old: python -m viperip_host.qemu")
    return here


def fetch() -> str:
    """The same, fetched now if need be. HostError when it is not to be had."""
    try:
        return find()
    except HostError:
        target = launcher().parent
        debian.fetch(PACKAGES, target, lambda root: write_launcher(root, target, PROGRAM))
    return find()


def version(path: str) -> str:
    """What it says its version is, "10.0.2". HostError when it does not run."""
    found = re.search(r"version ([0-9]+\.[0-9.]+)", debian.run([path, "--version"]))
    if found is None:
        raise HostError(f"{path} is not QEMU")
    return found[1]


def write_launcher(root: Path, target: Path, program: str) -> None:
    """The launcher of a QEMU that lies in ROOT and will lie in TARGET."""
    flags = f"-L '{target}/usr/share/qemu' "
    debian.write_launcher(root / program, target, program, LOADER, LIBRARIES, flags)


def told(fetch: Callable[[], str]) -> int:
    """Fetch one, and print its version and path; the exit status."""
    try:
        path = fetch()
        print(f"QEMU {version(path)} ({path})")
    except HostError as error:
        print(f"viperip: QEMU: {error}", file=sys.stderr)
        return FAILURE
    return OK


def main() -> int:
    return told(fetch)


if __name__ == "__main__":
    sys.exit(main())
