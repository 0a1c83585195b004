# A W5500 driver on the model, whose cable is one end of a pair; the test has the other end.
from viperip.link.pair import Pair
from viperip.link.w5500 import W5500
from w5500_model import W5500Model

MAC = b"\x02\0\0\0\0\x0a"
PEER_MAC = b"\x02\0\0\0\0\x0b"


class Board:
    def __init__(self, frames=64, irq=False, up=True, **settings):
        self.wire, end = Pair.wire(PEER_MAC, MAC, frames)
        self.chip = chip = W5500Model(end)
        for name in settings:
            assert hasattr(chip, name), name
            setattr(chip, name, settings[name])
        chip.brown_out()
        self.dev = W5500(
            chip, chip.cs, MAC, chip.reset, chip.irq if irq else None, clock=chip.clock
        )
        if up:
            self.dev.up()
            assert self.dev.link()

    def put(self, *frames):
        # Frames from the far end onto the wire.
        for frame in frames:
            self.wire.borrow()[2 : 2 + len(frame)] = frame
            self.wire.send(len(frame))

    def take(self):
        # The next frame that the driver has received, or None.
        dev = self.dev
        n = dev.recv()
        if not n:
            return None
        assert dev.recv() == n and dev.rx_off & 1 == 0
        frame = bytes(dev.rx[dev.rx_off : dev.rx_off + n])
        dev.release()
        return frame

    def all(self, idle=3):
        # Every frame that is there; a driver may answer "none" while a command runs.
        out = []
        quiet = 0
        while quiet < idle:
            frame = self.take()
            quiet = 0 if frame else quiet + 1
            if frame:
                out.append(frame)
        return out

    def send(self, frame):
        dev = self.dev
        buf = dev.borrow()
        if buf is None:
            return False
        buf[dev.tx_off : dev.tx_off + len(frame)] = frame
        dev.send(len(frame))
        return True

    def sent(self):
        # What has arrived at the far end.
        self.chip.clock.sleep_ms(2)
        self.chip.step()
        out = []
        while True:
            n = self.wire.recv()
            if not n:
                return out
            off = self.wire.rx_off
            out.append(bytes(self.wire.rx[off : off + n]))
            self.wire.release()

    def later(self, ms, step=20):
        # Time passes; the driver is polled.
        out = []
        while ms > 0:
            self.chip.clock.sleep_ms(min(step, ms))
            ms -= step
            frame = self.take()
            if frame:
                out.append(frame)
        return out


def frame(i=0, n=60, to=MAC):
    return to + PEER_MAC + b"\x88\xb5" + bytes((i * 7 + j) & 0xFF for j in range(n - 14))
