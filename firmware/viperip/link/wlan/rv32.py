# The two shims for the ESP32-C2, C3, C5 and C6: RISC-V, RV32I. (The RISC-V Instruction Set Manual,
# volume I, "RV32I Base Integer Instruction Set"; calling convention: the RISC-V ELF psABI.)
# Executed in MicroPython on QEMU, not yet on silicon.
#
# An instruction has four bytes. A function finds its arguments in a0, a1 ... and returns in a0.
from . import layout as _l
from .assembler import Assembler, within

ZERO = const(0)
RA = const(1)
SP = const(2)
T0 = const(5)
T1 = const(6)
T2 = const(7)
S0 = const(8)
A0 = const(10)
A1 = const(11)
A2 = const(12)
A3 = const(13)
T3 = const(28)
T4 = const(29)


def _jal(value, distance):
    d = within(distance, -1048576, 1048574)
    return (
        value
        | (d >> 20 & 1) << 31
        | (d >> 1 & 0x3FF) << 21
        | (d >> 11 & 1) << 20
        | (d >> 12 & 0xFF) << 12
    )


def _b(value, distance):
    d = within(distance, -4096, 4094)
    return (
        value
        | (d >> 12 & 1) << 31
        | (d >> 5 & 0x3F) << 25
        | (d >> 1 & 15) << 8
        | (d >> 11 & 1) << 7
    )


class RV32(Assembler):
    """The instructions that the shims use. Operands: register numbers, in the manual's order."""

    def _i(self, op, rd, rs1, value):
        self.emit((within(value, -2048, 2047) & 0xFFF) << 20 | rs1 << 15 | rd << 7 | op, 4)

    def lw(self, rd, offset, rs1):
        self._i(0x2003, rd, rs1, offset)

    def sw(self, rs2, offset, rs1):
        v = within(offset, -2048, 2047)
        self.emit((v >> 5 & 0x7F) << 25 | rs2 << 20 | rs1 << 15 | 0x2000 | (v & 31) << 7 | 0x23, 4)

    def addi(self, rd, rs1, value):
        self._i(0x0013, rd, rs1, value)

    def andi(self, rd, rs1, value):
        self._i(0x7013, rd, rs1, value)

    def slli(self, rd, rs1, shift):
        self._i(0x1013, rd, rs1, within(shift, 0, 31))

    def srli(self, rd, rs1, shift):
        self._i(0x5013, rd, rs1, within(shift, 0, 31))

    def add(self, rd, rs1, rs2):
        self.emit(rs2 << 20 | rs1 << 15 | rd << 7 | 0x33, 4)

    def sub(self, rd, rs1, rs2):
        self.emit(0x40000000 | rs2 << 20 | rs1 << 15 | rd << 7 | 0x33, 4)

    def lui(self, rd, value):
        self.emit((value & 0xFFFFF) << 12 | rd << 7 | 0x37, 4)

    def li(self, rd, value):
        # Always both halves. addi extends the sign: the upper half makes up for it.
        low = ((value & 0xFFF) ^ 0x800) - 0x800
        self.lui(rd, value - low >> 12)
        self.addi(rd, rd, low)

    def fence(self):
        self.emit(0x0FF0000F, 4)

    def jalr(self, rd, rs1):
        self._i(0x67, rd, rs1, 0)

    def j(self, name):
        self.jump(name, 4, _jal, 0x6F)

    def bnez(self, rs1, name):
        self.jump(name, 4, _b, rs1 << 15 | 0x1063)

    def bgeu(self, rs1, rs2, name):
        self.jump(name, 4, _b, rs2 << 20 | rs1 << 15 | 0x7063)


def call_shim(mailbox):
    """Machine code that calls the function in the mailbox at this address. It is called as
    MicroPython calls a viper function without arguments, and returns the small int 0."""
    a = RV32()
    a.addi(SP, SP, -16)  #          addi  sp, sp, -16
    a.sw(RA, 12, SP)  #             sw    ra, 12(sp)
    a.sw(S0, 8, SP)  #              sw    s0, 8(sp)
    a.li(S0, mailbox)  #            li    s0, mailbox
    a.fence()  #                    fence               what was written before is there
    a.lw(T0, 4 * _l.FUNCTION, S0)  # lw   t0, 0(s0)
    a.lw(A0, 4, S0)  #              lw    a0, 4(s0)
    a.lw(A1, 8, S0)  #              lw    a1, 8(s0)
    a.lw(A2, 12, S0)  #             lw    a2, 12(s0)
    a.lw(A3, 16, S0)  #             lw    a3, 16(s0)
    a.jalr(RA, T0)  #               jalr  t0
    a.sw(A0, 4 * _l.RESULT, S0)  #  sw    a0, 20(s0)
    a.fence()  #                    fence               what the callee wrote is there
    a.lw(S0, 8, SP)  #              lw    s0, 8(sp)
    a.lw(RA, 12, SP)  #             lw    ra, 12(sp)
    a.addi(SP, SP, 16)  #           addi  sp, sp, 16
    a.addi(A0, ZERO, 1)  #          li    a0, 1         the small int 0
    a.jalr(ZERO, RA)  #             ret
    return a.finish()


def receive_shim(ring, slots):
    """The callback for received frames, (buffer, length, eb) -> 0, with a ring at this address of
    `slots` frames, a power of two."""
    a = RV32()
    a.li(T0, ring)  #               li    t0, ring
    a.lw(T1, 4 * _l.HEAD, T0)  #    lw    t1, 0(t0)
    a.lw(T2, 4 * _l.TAIL, T0)  #    lw    t2, 4(t0)
    a.lw(T3, 4 * _l.CLOSED, T0)  #  lw    t3, 16(t0)
    a.sub(T2, T1, T2)  #            sub   t2, t1, t2    frames that wait
    a.bnez(T3, "late")  #           bnez  t3, late
    a.addi(T4, ZERO, slots)  #      li    t4, slots
    a.bgeu(T2, T4, "full")  #       bgeu  t2, t4, full
    a.andi(T2, T1, slots - 1)  #    andi  t2, t1, slots-1
    a.slli(T2, T2, 4)  #            slli  t2, t2, 4
    a.add(T2, T2, T0)  #            add   t2, t2, t0    the slot
    a.slli(A1, A1, 16)  #           slli  a1, a1, 16    the length is a uint16
    a.srli(A1, A1, 16)  #           srli  a1, a1, 16
    a.sw(A0, 4 * _l.SLOT, T2)  #    sw    a0, 32(t2)
    a.sw(A1, 4 * _l.SLOT + 4, T2)  # sw   a1, 36(t2)
    a.sw(A2, 4 * _l.SLOT + 8, T2)  # sw   a2, 40(t2)
    a.fence()  #                    fence               the slot is written before it counts
    a.addi(T1, T1, 1)  #            addi  t1, t1, 1
    a.sw(T1, 4 * _l.HEAD, T0)  #    sw    t1, 0(t0)
    a.addi(A0, ZERO, 0)  #          li    a0, 0
    a.jalr(ZERO, RA)  #             ret
    a.label("late")
    a.lw(T1, 4 * _l.LATE, T0)  #    lw    t1, 20(t0)
    a.addi(T1, T1, 1)  #            addi  t1, t1, 1
    a.sw(T1, 4 * _l.LATE, T0)  #    sw    t1, 20(t0)
    a.j("free")  #                  j     free
    a.label("full")
    a.lw(T1, 4 * _l.DROPPED, T0)  # lw    t1, 8(t0)
    a.addi(T1, T1, 1)  #            addi  t1, t1, 1
    a.sw(T1, 4 * _l.DROPPED, T0)  # sw    t1, 8(t0)
    a.label("free")
    a.addi(SP, SP, -16)  #          addi  sp, sp, -16
    a.sw(RA, 12, SP)  #             sw    ra, 12(sp)
    a.lw(T1, 4 * _l.FREE, T0)  #    lw    t1, 12(t0)
    a.addi(A0, A2, 0)  #            mv    a0, a2        eb
    a.jalr(RA, T1)  #               jalr  t1
    a.lw(RA, 12, SP)  #             lw    ra, 12(sp)
    a.addi(SP, SP, 16)  #           addi  sp, sp, 16
    a.addi(A0, ZERO, 0)  #          li    a0, 0
    a.jalr(ZERO, RA)  #             ret
    return a.finish()
