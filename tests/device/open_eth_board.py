# A modelled machine with the open_eth driver on it, and the far end of its wire.
import emac_board
from emac_board import ALL, FAR, MAC, failing, frame
from open_eth_model import OpenEthModel
from viperip.link.open_eth import OpenEth
from viperip.link.pair import Pair

REGS = 0x3FF69000
DESC = 0x3FF69400


class Board(emac_board.Board):
    def __init__(self, model={}, frames=64, machine=None, **driver):
        if machine is None:
            self.near, self.far = Pair.wire(FAR, FAR, frames, 1600)
            machine = OpenEthModel(self.near, **model)
        self.soc = self.bus = machine
        self.dev = OpenEth(self.bus, MAC, **driver)

    def reg(self, offset):
        return self.soc.mem32[REGS + offset] & 0xFFFFFFFF

    def lent(self, n):
        # Let n frames be received; how many were.
        got = 0
        while got < n and self.dev.recv():
            self.dev.release()
            got += 1
        return got


__all__ = ["ALL", "DESC", "FAR", "MAC", "REGS", "Board", "failing", "frame"]
