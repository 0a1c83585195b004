# The driver of open_eth on QEMU's own (models/open_eth_qtest.py), and the far end of its wire.
import json
import os
import time

from harness import SkipTest
from open_eth_board import DESC, FAR, MAC, REGS, Board
from open_eth_qtest import OpenEthBus
from qtest import Monitor
from viperip.link.open_eth import OpenEth
from viperip.link.udpwire import UDPWire

# QEMU takes a frame from the wire in each turn of its main loop, and answers us once in a turn.
_TURNS = const(20)  # without a frame: nothing more will come


class World:
    # QEMU serves one at a time, and is the same for all tests of a file.
    def __init__(self):
        told = os.getenv("VIPERIP_OPEN_ETH")
        if told is None:
            raise SkipTest("no QEMU with an open_eth")
        told = json.loads(told)
        self.monitor = Monitor(told["monitor"])
        self.bus = OpenEthBus(told["qtest"])
        self.far = UDPWire(told["far"], told["near"], FAR, 1600)
        self.far.up()

    def reset(self):
        self.monitor.do("set_link wire on")
        # QEMU resets the machine some time after it was told to. Descriptors stay.
        self.bus.mem32[REGS + 0x50] = 0x1E57
        self.monitor.do("system_reset")
        for _ in range(2000):
            if not self.bus.mem32[REGS + 0x50]:
                break
            time.sleep_ms(1)
        else:
            raise AssertionError("QEMU does not reset the machine")
        # What is still on its way finds no empty descriptor.
        mem = self.bus.mem32
        for i in range(128):
            mem[DESC + 8 * i] = 0
        mem[REGS] = 0xA001
        for _ in range(150):
            mem[REGS]
        mem[REGS] = 0xA000
        mem[REGS + 4] = 0x7F
        self.bus.forget()
        while self.far.recv():
            self.far.release()


_world: "World | None" = None


class QemuBoard(Board):
    # (Not called: its board is a modelled one.)
    def __init__(self, model={}, frames=64, machine=None, **driver):
        global _world
        if _world is None:
            _world = World()
        if machine is None:
            _world.reset()
        self.soc = self.bus = _world.bus
        self.monitor = _world.monitor
        self.far = _world.far
        self.due = 0  # frames given, not yet received
        self.dev = OpenEth(self.bus, MAC, **driver)

    def reg(self, offset):
        return self.bus.mem32[REGS + offset] & 0xFFFFFFFF

    def give(self, *frames):
        for frame in frames:
            self.far.borrow()[2 : 2 + len(frame)] = frame
            self.far.send(len(frame))
        self.due += len(frames)
        assert not self.far.dropped

    def settle(self):
        """Until QEMU has taken what was given, with nobody polling."""
        for _ in range(2 * self.due + _TURNS):
            self.reg(0)

    def read(self):
        out = []
        quiet = 0
        while self.due > 0 and quiet < _TURNS:
            n = self.dev.recv()
            quiet += 1
            if n:
                off = self.dev.rx_off
                out.append(bytes(self.dev.rx[off : off + n]))
                self.dev.release()
                self.due -= 1
                quiet = 0
        self.due = 0
        return out + super().read()

    def sent(self):
        # What QEMU sends is on the wire when it answers.
        out = []
        n = self.far.recv()
        while n:
            out.append(bytes(self.far.rx[2 : 2 + n]))
            self.far.release()
            n = self.far.recv()
        return out

    def after(self, ms, step=50):
        got = []
        while ms > 0:
            self.bus.skew += min(ms, step)
            got += self.read()
            ms -= step
        return got
