# read(2) and write(2) for the unix port on x86 Linux, without allocating. Stock MicroPython offers
# neither: readinto() on a descriptor runs frames together, recv() makes a new object per frame.
#
# The machine code of two viper functions is overwritten. Both take (fd, buf, off, n), `buf` being
# a bytearray, and return a count or -errno. The object is passed, not its address: on 32-bit an
# address is no small int. The emitter passes (function, n_args, n_kw, args); small ints are tagged
# (value << 1 | 1).
#
# Importing this raises SyntaxError where there is no emitter, OSError where it is not x86 Linux or
# where anything looks different from what the code below relies on.
import sys

import micropython

_X86 = const(1)  # architectures, as sys.implementation._mpy has them
_X64 = const(2)
_READ = const(0)
_WRITE = const(1)
_NUMBERS = {_X86: (3, 4), _X64: (0, 1)}  # of the two calls
_CODE = {
    _X64: (
        b"\x49\x89\xc8"  # mov r8, rcx          args
        b"\x49\x8b\x38"  # mov rdi, [r8]        fd
        b"\x48\xd1\xff"  # sar rdi, 1
        b"\x49\x8b\x70\x08"  # mov rsi, [r8+8]      buf
        b"\x48\x8b\x76\x18"  # mov rsi, [rsi+24]    its bytes
        b"\x49\x8b\x50\x10"  # mov rdx, [r8+16]     off
        b"\x48\xd1\xfa"  # sar rdx, 1
        b"\x48\x01\xd6"  # add rsi, rdx
        b"\x49\x8b\x50\x18"  # mov rdx, [r8+24]     n
        b"\x48\xd1\xfa"  # sar rdx, 1
        b"\xb8%c\0\0\0"  # mov eax, number
        b"\x0f\x05"  # syscall
        b"\x48\x8d\x44\x00\x01"  # lea rax, [rax+rax+1]
        b"\xc3"  # ret
    ),
    _X86: (
        b"\x53"  # push ebx
        b"\x8b\x54\x24\x14"  # mov edx, [esp+20]    args
        b"\x8b\x1a"  # mov ebx, [edx]       fd
        b"\xd1\xfb"  # sar ebx, 1
        b"\x8b\x4a\x04"  # mov ecx, [edx+4]     buf
        b"\x8b\x49\x0c"  # mov ecx, [ecx+12]    its bytes
        b"\x8b\x42\x08"  # mov eax, [edx+8]     off
        b"\xd1\xf8"  # sar eax, 1
        b"\x01\xc1"  # add ecx, eax
        b"\x8b\x52\x0c"  # mov edx, [edx+12]    n
        b"\xd1\xfa"  # sar edx, 1
        b"\xb8%c\0\0\0"  # mov eax, number
        b"\xcd\x80"  # int 0x80
        b"\x8d\x44\x00\x01"  # lea eax, [eax+eax+1]
        b"\x5b"  # pop ebx
        b"\xc3"  # ret
    ),
}
# A constant at the end of both functions: found in the machine code, it tells that this is the
# right code and that what lies before it is room to overwrite.
_MARK = const(0x1E57AB1E)


@micropython.viper
def read(fd, buf, off, n) -> int:
    a = int(n)
    b = int(off)
    a = a * b + (a ^ b)
    b = a * b + (a & b)
    a = a * b + (a | b)
    b = a * b + (a ^ b)
    return a + b + 0x1E57AB1E


@micropython.viper
def write(fd, buf, off, n) -> int:
    a = int(n)
    b = int(off)
    a = a * b + (a ^ b)
    b = a * b + (a & b)
    a = a * b + (a | b)
    b = a * b + (a ^ b)
    return a + b + 0x1E57AB1E


@micropython.viper
def _peek(address: ptr8, i: int) -> int:
    return address[i]


@micropython.viper
def _poke(address: ptr8, i: int, value: int):
    address[i] = value


@micropython.viper
def _same_pointer(address: ptr8, buf: ptr8, word: int) -> bool:
    # Whether the word at `address` is the address of buf's bytes.
    a = int(buf)
    i = 0
    while i < word:
        if address[i] != a & 0xFF:
            return False
        a = a >> 8
        i += 1
    return True


def _refuse(why):
    from ..errors import EOPNOTSUPP

    raise OSError(EOPNOTSUPP, "no system-call shim: " + why)


def _patch(function, code, word):
    # Overwrite the machine code of `function`, whose address is its object's fourth word.
    where = 0
    for i in range(word):
        where |= _peek(id(function), 3 * word + i) << 8 * i
    mark = _MARK.to_bytes(4, "little")
    for i in range(800):
        if bytes([_peek(where, i + j) for j in range(4)]) == mark:
            break
    else:
        i = 0
    if i < len(code):
        _refuse("unknown function layout")
    for i in range(len(code)):
        _poke(where, i, code[i])


def _install():
    arch = getattr(sys.implementation, "_mpy", 0) >> 10 & 0xF
    if sys.platform != "linux" or arch not in _CODE:
        _refuse("not x86 Linux")
    word = 8 if arch == _X64 else 4
    sample = bytearray(8)
    if not _same_pointer(id(sample) + 3 * word, sample, word):
        _refuse("unknown bytearray layout")
    code = _CODE[arch].split(b"%c")
    for call, function in ((_READ, read), (_WRITE, write)):
        _patch(function, code[0] + bytes([_NUMBERS[arch][call]]) + code[1], word)
    _check()


def _check():
    with open("/dev/zero", "r+b") as f:
        fd = f.fileno()
        buf = bytearray(b"12345678")
        if read(fd, buf, 2, 3) != 3 or buf != b"12\0\0\0" + b"678" or write(fd, buf, 1, 5) != 5:
            _refuse("it fails its test")
    if read(-1, buf, 0, 1) != -9 or write(-1, buf, 0, 1) != -9:
        _refuse("it fails its test")


_install()
