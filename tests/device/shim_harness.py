# The shims of link/wlan and a program that calls them, as machine code for a Linux process without
# a C library. Started with ARCHITECTURE BASE SLOTS; prints {place: code in hex} as JSON, every
# place an offset from BASE. tests/host/shim_process.py makes a program of it.
#
# At ROWS are rows of 8 words, function, four arguments, result, what the shim itself returned,
# nothing; function 0 ends them. The program writes everything from DATA to END to stdout.
import json
import sys

from viperip.link.wlan import rv32, xtensa
from viperip.link.wlan.rv32 import A0, A1, A2, A3, RA, RV32, S0, SP, T0, T1, ZERO

START, CALL, RECEIVE, GIVE_BACK, POKE, DEEP = 0x1000, 0x2000, 0x2100, 0x2200, 0x2300, 0x2400
MAILBOX, RING, LOG, ROWS, END = 0x3000, 0x3100, 0x3800, 0x8000, 0x18000


class XtensaHarness(xtensa.Xtensa):
    def head(self, *words):
        self.j("begin")
        self.emit(0, 1)
        for name, value in words:
            self.literal(name, value)
        self.label("begin")

    def syscall(self):
        self.emit(0x5000, 3)


def xtensa_codes(base):
    start = XtensaHarness()
    start.head(
        ("rows", base + ROWS),
        ("mailbox", base + MAILBOX),
        ("shim", base + CALL),
        ("size", END - MAILBOX),
    )
    a = start
    # This frame has no caller: say where its registers go when they are spilled (the handler of
    # a window overflow finds that stack pointer 12 bytes below this one).
    a.mov(3, 1)
    a.addi(1, 1, -64)
    a.addi(5, 1, -12)
    a.s32i(3, 5, 0)
    a.l32r(2, "rows")
    a.l32r(4, "mailbox")
    a.label("row")
    a.l32i(3, 2, 0)
    a.bnez(3, "go")
    a.j("done")
    a.label("go")
    for i in range(5):
        a.l32i(3, 2, 4 * i)
        a.s32i(3, 4, 4 * i)
    a.l32r(8, "shim")
    a.callx8(8)
    a.s32i(10, 2, 24)
    a.l32i(3, 4, 20)
    a.s32i(3, 2, 20)
    a.addi(2, 2, 32)
    a.j("row")
    a.label("done")  # write(1, mailbox ..., size), exit(0)
    a.movi(6, 1)
    a.mov(3, 4)
    a.l32r(4, "size")
    a.movi(2, 13)
    a.syscall()
    a.movi(6, 0)
    a.movi(2, 118)
    a.syscall()

    give = a = XtensaHarness()
    a.head(("log", base + LOG))
    a.entry(1, 48)
    a.l32r(8, "log")
    a.l32i(9, 8, 0)
    a.addi(9, 9, 1)
    a.s32i(9, 8, 0)
    a.slli(9, 9, 2)
    a.add(9, 9, 8)
    a.s32i(2, 9, 0)
    a.retw()

    poke = a = XtensaHarness()
    a.entry(1, 48)
    a.s32i(3, 2, 0)
    a.retw()

    deep = a = XtensaHarness()  # deep(n, buffer, length, eb): n calls deep, then the callback
    a.head(("deep", base + DEEP), ("receive", base + RECEIVE))
    a.entry(1, 48)
    a.bnez(2, "more")
    a.mov(10, 3)
    a.mov(11, 4)
    a.mov(12, 5)
    a.l32r(8, "receive")
    a.callx8(8)
    a.mov(2, 10)
    a.retw()
    a.label("more")
    a.addi(10, 2, -1)
    a.mov(11, 3)
    a.mov(12, 4)
    a.mov(13, 5)
    a.l32r(8, "deep")
    a.callx8(8)
    # n sums of what registers of this frame held before: (n - 1) ... 1, 0 on top of it.
    a.add(2, 2, 10)
    a.retw()
    return start, give, poke, deep


class RV32Harness(RV32):
    def ecall(self):
        self.emit(0x73, 4)


def rv32_codes(base):
    start = a = RV32Harness()
    a.li(S0, base + ROWS)
    a.label("row")
    a.lw(T1, 0, S0)
    a.bnez(T1, "go")
    a.j("done")
    a.label("go")
    a.li(T0, base + MAILBOX)
    for i in range(5):
        a.lw(T1, 4 * i, S0)
        a.sw(T1, 4 * i, T0)
    a.li(T1, base + CALL)
    a.jalr(RA, T1)
    a.sw(A0, 24, S0)
    a.li(T0, base + MAILBOX)
    a.lw(T1, 20, T0)
    a.sw(T1, 20, S0)
    a.addi(S0, S0, 32)
    a.j("row")
    a.label("done")  # write(1, mailbox ..., size), exit(0)
    a.addi(A0, ZERO, 1)
    a.li(A1, base + MAILBOX)
    a.li(A2, END - MAILBOX)
    a.addi(17, ZERO, 64)
    a.ecall()
    a.addi(A0, ZERO, 0)
    a.addi(17, ZERO, 93)
    a.ecall()

    give = a = RV32Harness()
    a.li(T0, base + LOG)
    a.lw(T1, 0, T0)
    a.addi(T1, T1, 1)
    a.sw(T1, 0, T0)
    a.slli(T1, T1, 2)
    a.add(T1, T1, T0)
    a.sw(A0, 0, T1)
    # A C function may leave anything in these.
    for r in (T0, T1, 7, 28, 29, 30, 31, A1, A2, A3, 14, 15, 16, 17):
        a.addi(r, ZERO, -1)
    a.jalr(ZERO, RA)

    poke = a = RV32Harness()
    a.sw(A1, 0, A0)
    a.jalr(ZERO, RA)

    deep = a = RV32Harness()
    a.addi(SP, SP, -16)
    a.sw(RA, 12, SP)
    a.sw(S0, 8, SP)
    a.addi(S0, A0, 0)
    a.bnez(A0, "more")
    a.addi(A0, A1, 0)
    a.addi(A1, A2, 0)
    a.addi(A2, A3, 0)
    a.li(T0, base + RECEIVE)
    a.jalr(RA, T0)
    a.j("end")
    a.label("more")
    a.addi(A0, A0, -1)
    a.li(T0, base + DEEP)
    a.jalr(RA, T0)
    a.add(A0, A0, S0)
    a.label("end")
    a.lw(RA, 12, SP)
    a.lw(S0, 8, SP)
    a.addi(SP, SP, 16)
    a.jalr(ZERO, RA)
    return start, give, poke, deep


def main(architecture, base, slots):
    isa, codes = {"xtensa": (xtensa, xtensa_codes), "riscv32": (rv32, rv32_codes)}[architecture]
    start, give, poke, deep = codes(base)
    out = {
        START: start.finish(),
        CALL: isa.call_shim(base + MAILBOX),
        RECEIVE: isa.receive_shim(base + RING, slots),
        GIVE_BACK: give.finish(),
        POKE: poke.finish(),
        DEEP: deep.finish(),
    }
    print(json.dumps({str(place): code.hex() for place, code in out.items()}))


sys.argv.append("")
if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
