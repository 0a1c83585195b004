# A bus that writes down what passes: register accesses, pins and waits.


class Tracer:
    """Stands between a driver and its bus. log: tuples, in order.

    ("r", address, value), ("w", address, value), values without a sign; ("pin", gpio, value),
    value None for an input; ("ms", n) and ("us", n). Reads of one register in a row are one entry,
    with the last value; waits in between do not count.
    """

    def __init__(self, bus):
        self._bus = bus
        self.log = []
        self.mem32 = _Registers(bus.mem32, self.log)
        self.ticks_ms = bus.ticks_ms
        self.dma_alloc = bus.dma_alloc
        self.stock_lan = bus.stock_lan
        self.fileno = bus.fileno

    def pin(self, gpio, value=None):
        self.log.append(("pin", gpio, value))
        self._bus.pin(gpio, value)

    def delay_ms(self, n):
        self.log.append(("ms", n))
        self._bus.delay_ms(n)

    def delay_us(self, n):
        self.log.append(("us", n))
        self._bus.delay_us(n)


class _Registers:
    def __init__(self, mem32, log):
        self._mem32 = mem32
        self._log = log

    def __getitem__(self, address):
        value = self._mem32[address]
        log = self._log
        entry = ("r", address, value & 0xFFFFFFFF)
        i = len(log)
        while i and log[i - 1][0] in ("ms", "us"):
            i -= 1
        if i and log[i - 1][:2] == ("r", address):
            # Polling: only the end of it counts.
            del log[i - 1 :]
        log.append(entry)
        return value

    def __setitem__(self, address, value):
        self._log.append(("w", address, value & 0xFFFFFFFF))
        self._mem32[address] = value
