# The two shims for the ESP32, S2 and S3: Xtensa with windowed registers. (Xtensa Instruction Set
# Architecture Reference Manual, "Instruction Descriptions" and "Windowed Procedure Calls".)
# Executed in QEMU's Xtensa cores, not yet on silicon.
#
# An instruction has three bytes; from the lowest bits on: op0, t, s, r, op1, op2, four bits each.
# A function finds its arguments in a2, a3 ... and returns in a2. It calls by callx8: what is a10,
# a11 ... here is a2, a3 ... there.
from . import layout as _l
from .assembler import Assembler, within


def _l32r(value, distance):
    # Back to a literal: words, counted from the word boundary after this address (the
    # code starts on a word boundary). `value` carries its place in the bits above 24.
    at = value >> 24
    return value & 0xFFFFFF | (at + distance - (at + 3 & ~3) >> 2 & 0xFFFF) << 8


def _j(value, distance):
    return value | (within(distance - 4, -131072, 131071) & 0x3FFFF) << 6


def _bz(value, distance):
    return value | (within(distance - 4, -2048, 2047) & 0xFFF) << 12


def _b(value, distance):
    return value | (within(distance - 4, -128, 127) & 0xFF) << 16


class Xtensa(Assembler):
    """The instructions that the shims use. Operands: register numbers, in the manual's order."""

    def literal(self, name, value):
        self.label(name)
        self.emit(value, 4)

    def entry(self, s, size):
        self.emit(within(size >> 3, 2, 4095) << 12 | s << 8 | 0x36, 3)

    def l32r(self, t, name):
        self.jump(name, 3, _l32r, len(self.code) << 24 | t << 4 | 1)

    def l32i(self, t, s, offset):
        self.emit(within(offset >> 2, 0, 255) << 16 | 0x2002 | s << 8 | t << 4, 3)

    def s32i(self, t, s, offset):
        self.emit(within(offset >> 2, 0, 255) << 16 | 0x6002 | s << 8 | t << 4, 3)

    def addi(self, t, s, value):
        self.emit((within(value, -128, 127) & 0xFF) << 16 | 0xC002 | s << 8 | t << 4, 3)

    def movi(self, t, value):
        value = within(value, -2048, 2047) & 0xFFF
        self.emit((value & 0xFF) << 16 | 0xA002 | value >> 8 << 8 | t << 4, 3)

    def mov(self, r, s):
        self.emit(0x200000 | r << 12 | s << 8 | s << 4, 3)  # or r, s, s

    def add(self, r, s, t):
        self.emit(0x800000 | r << 12 | s << 8 | t << 4, 3)

    def sub(self, r, s, t):
        self.emit(0xC00000 | r << 12 | s << 8 | t << 4, 3)

    def slli(self, r, s, shift):
        left = 32 - within(shift, 1, 31)
        self.emit(0x010000 | left >> 4 << 20 | r << 12 | s << 8 | (left & 15) << 4, 3)

    def extui(self, r, t, shift, bits):
        self.emit(
            within(bits, 1, 16) - 1 << 20
            | (4 | shift >> 4) << 16
            | r << 12
            | (shift & 15) << 8
            | t << 4,
            3,
        )

    def memw(self):
        self.emit(0x0020C0, 3)

    def j(self, name):
        self.jump(name, 3, _j, 0x06)

    def bnez(self, s, name):
        self.jump(name, 3, _bz, s << 8 | 0x56)

    def bgeu(self, s, t, name):
        self.jump(name, 3, _b, 0xB007 | s << 8 | t << 4)

    def callx8(self, s):
        self.emit(s << 8 | 0xE0, 3)

    def retw(self):
        self.emit(0x90, 3)


def call_shim(mailbox):
    """Machine code that calls the function in the mailbox at this address. It is called as
    MicroPython calls a viper function without arguments, and returns the small int 0."""
    a = Xtensa()
    a.j("begin")
    a.emit(0, 1)
    a.literal("mailbox", mailbox)
    a.label("begin")
    a.entry(1, 48)  #              entry   a1, 48
    a.l32r(3, "mailbox")  #        l32r    a3, mailbox
    a.memw()  #                    memw            what was written before is there for the callee
    a.l32i(8, 3, 4 * _l.FUNCTION)  # l32i  a8, a3, 0
    a.l32i(10, 3, 4)  #            l32i    a10, a3, 4
    a.l32i(11, 3, 8)  #            l32i    a11, a3, 8
    a.l32i(12, 3, 12)  #           l32i    a12, a3, 12
    a.l32i(13, 3, 16)  #           l32i    a13, a3, 16
    a.callx8(8)  #                 callx8  a8
    a.s32i(10, 3, 4 * _l.RESULT)  # s32i   a10, a3, 20
    a.memw()  #                    memw            what the callee wrote is there
    a.movi(2, 1)  #                movi    a2, 1   the small int 0
    a.retw()  #                    retw
    return a.finish()


def receive_shim(ring, slots):
    """The callback for received frames, (buffer, length, eb) -> 0, with a ring at this address of
    `slots` frames, a power of two."""
    a = Xtensa()
    a.j("begin")
    a.emit(0, 1)
    a.literal("ring", ring)
    a.label("begin")
    a.entry(1, 48)  #              entry   a1, 48
    a.l32r(8, "ring")  #           l32r    a8, ring
    a.l32i(9, 8, 4 * _l.HEAD)  #   l32i    a9, a8, 0
    a.l32i(10, 8, 4 * _l.TAIL)  #  l32i    a10, a8, 4
    a.l32i(11, 8, 4 * _l.CLOSED)  # l32i   a11, a8, 16
    a.sub(10, 9, 10)  #            sub     a10, a9, a10    frames that wait
    a.bnez(11, "late")  #          bnez    a11, late
    a.movi(12, slots)  #           movi    a12, slots
    a.bgeu(10, 12, "full")  #      bgeu    a10, a12, full
    a.extui(10, 9, 0, _bits(slots))  # extui a10, a9, 0, bits  the slot
    a.slli(10, 10, 4)  #           slli    a10, a10, 4
    a.add(10, 10, 8)  #            add     a10, a10, a8
    a.extui(3, 3, 0, 16)  #        extui   a3, a3, 0, 16   the length is a uint16
    a.s32i(2, 10, 4 * _l.SLOT)  #  s32i    a2, a10, 32
    a.s32i(3, 10, 4 * _l.SLOT + 4)  # s32i a3, a10, 36
    a.s32i(4, 10, 4 * _l.SLOT + 8)  # s32i a4, a10, 40
    a.memw()  #                    memw                    the slot is written before it counts
    a.addi(9, 9, 1)  #             addi    a9, a9, 1
    a.s32i(9, 8, 4 * _l.HEAD)  #   s32i    a9, a8, 0
    a.movi(2, 0)  #                movi    a2, 0
    a.retw()  #                    retw
    a.label("late")
    a.l32i(9, 8, 4 * _l.LATE)  #   l32i    a9, a8, 20
    a.addi(9, 9, 1)  #             addi    a9, a9, 1
    a.s32i(9, 8, 4 * _l.LATE)  #   s32i    a9, a8, 20
    a.j("free")  #                 j       free
    a.label("full")
    a.l32i(9, 8, 4 * _l.DROPPED)  # l32i   a9, a8, 8
    a.addi(9, 9, 1)  #             addi    a9, a9, 1
    a.s32i(9, 8, 4 * _l.DROPPED)  # s32i   a9, a8, 8
    a.label("free")
    a.l32i(8, 8, 4 * _l.FREE)  #   l32i    a8, a8, 12
    a.mov(10, 4)  #                mov     a10, a4         eb
    a.callx8(8)  #                 callx8  a8
    a.movi(2, 0)  #                movi    a2, 0
    a.retw()  #                    retw
    return a.finish()


def _bits(slots):
    # The logarithm of a power of two.
    bits = 0
    while 1 << bits < slots:
        bits += 1
    return bits
