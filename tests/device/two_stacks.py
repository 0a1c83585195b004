# A stack on a modelled board's driver, and a second one at the other end of the wire.
from harness import MASK, ME, PEER, FakeClock
from viperip.interface import Interface
from viperip.stack import Stack


class Net:
    def __init__(self, board):
        self.board = board
        self.clock = FakeClock()
        self.here = self.stack(board.dev, ME)
        self.there = self.stack(board.far, PEER)
        self.run(3000)

    def stack(self, dev, addr):
        s = Stack(ticks=self.clock)
        s.strict = True
        ifc = Interface(s, dev, "e0")
        s.add_interface(ifc)
        ifc.up()
        ifc.configure(addr, MASK)
        return s

    def step(self):
        for _ in range(4):
            self.here.poll()
            self.there.poll()

    def run(self, ms, step=10):
        while ms > 0:
            self.clock.advance(step)
            self.board.soc.advance(step)
            self.step()
            ms -= step
