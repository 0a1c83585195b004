# The driver of a DesignWare GMAC: reset, filters, start and stop, recovery, and the way of a
# frame.
#
# What is the ESP32's own (clock, pins, fuses) is emac.py; this part also drives a GMAC elsewhere.
# Sources: TRM, chapter "Ethernet Media Access Controller"; ESP-IDF emac_hal.c, esp_eth_mac_esp.c
# and esp_eth_mac_esp_dma.c for the order of things. Modelled; not yet run on silicon.
from array import array
from time import ticks_diff

from ... import native
from ...errors import ENODEV, ETIMEDOUT
from .. import phy as _phy
from ..device import LinkDevice
from . import registers as r
from .descriptors import ES_BYTE, OWN_BYTE, Enhanced, Ring
from .filters import Filters
from .mdio import MDIO

_hot = native.load("emac")
_rx_scan = _hot.rx_scan
_tx_give = _hot.tx_give

# What STATUS must not show while all is well (RI, TI, TU and the like are no trouble): TPS, TJT,
# OVF, UNF, RU, RPS, RWT, FBI.
_TROUBLE = const(0x23BA)
_RESET_MS = const(100)
_RECOVER_MS = const(10)  # while everything else on the board waits; it is tried again
_STOP_STEPS = const(100)  # of 25 us: a frame at 10 Mbit/s takes 1.2 ms
_STOP_STEP_US = const(25)
_FLUSH_STEPS = const(100)
_LINK_UP_MS = const(1000)  # how often the PHY is asked while the link is up
_LINK_DOWN_MS = const(100)  # and while it is not
_FATAL_MAX = const(8)  # bus errors in a row, without a frame in between: it is no accident

_COUNTERS = (
    "rx_error",  # received with an error, by its descriptor
    "rx_piece",  # descriptors that held a part of a frame: too long, or cut by an overflow
    "rx_corrupt",  # receive descriptors that were not what the driver had written
    "rx_length",  # received with a length that cannot be
    "rx_suspended",  # times the DMA found no free receive descriptor
    "rx_overflow",  # times the receive FIFO overflowed
    "rx_missed",  # frames lost because no descriptor was free, as the hardware counts them
    "rx_fifo_lost",  # frames lost to the receive FIFO, as the hardware counts them
    "rx_stopped",  # times the receive DMA had stopped by itself
    "rx_watchdog",  # frames cut by the receive watchdog
    "tx_refused",  # frames too short or too long, or sent without a link
    "tx_error",  # frames that the descriptor says were not sent
    "tx_underflow",
    "tx_jabber",
    "tx_stopped",
    "tx_stuck",  # times the transmitter made no progress and was started anew
    "bus_error",  # fatal bus errors; the core was reset after each
    "restarts",  # times the rings were started anew after trouble
    "failures",  # attempts to recover that failed: see `error`
    "link_up",
    "link_down",
    "phy_silent",  # times the PHY did not answer
)


class GMAC(LinkDevice):
    """A DesignWare GMAC at bus addresses `mac` and `dma`, with rings in memory of `bus`.

    counters: a dict, named above. error: why the device cannot work, None while it can.
    """

    rx_off = 0
    tx_off = 0
    _up = False
    _station = b"\x02\0\0\0\0\0"

    def __init__(
        self, bus, mac, dma, layout=Enhanced, station=None, rx_frames=8, tx_frames=4, mtu=1500
    ):
        self._station = bytes(station or self._station)
        self.bus = bus
        self.mtu = mtu
        self.rx_frames = rx_frames
        self.counters = {}
        for name in _COUNTERS:
            self.counters[name] = 0
        self.error = None
        self.phy = None
        self.phy_address = None  # None: look for one
        self.flow_control = False  # offer pause frames
        self.force = 0  # a mode of phy.py instead of negotiation
        self.loopback = None  # "mac": inside the MAC, needs no PHY; "phy": inside the PHY
        self._tx_frames = tx_frames
        self._layout = layout
        self._mac = mac
        self._dma = dma
        self._status = dma + r.STATUS
        self._rxpoll = dma + r.RXPOLL
        self._txpoll = dma + r.TXPOLL
        self._mem = bus.mem32
        self._ticks = bus.ticks_ms
        self.mdio = MDIO(bus, mac)
        self._rx = self._tx = None  # the rings, made at the first up()
        self._lengths = array("h", [0] * rx_frames)
        self._running = self._linked = False
        self.filters = Filters(mac, dma)
        self._silent = False  # the PHY did not answer when it was asked last
        self._checked = 0  # when the PHY was asked last
        self._wait = 0  # how long until it is asked again
        self._fatal = 0
        self._forget()

    def _forget(self):
        # Nothing received, nothing lent.
        self._n = 0  # length of the frame that is lent, 0: none is
        self._found = 0  # descriptors of the batch, and how many were looked at
        self._seen = 0
        self._rx_at = 0  # the descriptor that is next
        self._given = False  # some went back to the DMA since the last poll demand
        self._tx_at = 0
        self._tx_turn = 0  # counts frames, to see progress
        self._tx_done = -1  # how many were done at the last look, -1: all were

    # Bring-up.

    def up(self):
        """Reset the core and the PHY, and start to negotiate; frames pass once link() is true.

        OSError with a text that names the likely cause: ENODEV (no MAC, no PHY), ETIMEDOUT (no
        clock), ENOMEM (memory that the DMA does not reach).
        """
        if self._up:
            return
        self.error = None
        try:
            # First, because it stops a DMA that an earlier program left running.
            self.prepare()
            if self._rx is None:
                # Whole frames of one VLAN tag with their FCS.
                size = (self.mtu + 22 + 31) & ~31
                rx = Ring(self.bus, self._layout, self.rx_frames, size, False)
                self._tx = Ring(self.bus, self._layout, self._tx_frames, size, True)
                self._rx = rx
            self.reset(_RESET_MS)
            self._defaults()
            if self.loopback != "mac":
                if self.phy is None:
                    self.phy = _phy.find(self.mdio, self.phy_address)
                self.phy.start(self.bus, self.flow_control, self.force)
            if self.loopback == "phy":
                self.phy.loop()
        except OSError as e:
            self.error = e
            raise
        self._up = True
        self._fatal = 0
        self._check(self._ticks())

    def prepare(self):
        """Clock, pins and power: of the chip around the core."""

    def reset(self, ms):
        """Soft reset of DMA and MAC. OSError(ETIMEDOUT) if it does not end within `ms`."""
        mem = self._mem
        busmode = self._dma + r.BUSMODE
        if not mem[busmode] & r.BUSMODE_SWR:
            # A DMA that still runs could write on while its descriptors are forgotten.
            try:
                self._halt()
            except OSError:
                pass  # what follows says why
            mem[busmode] = r.BUSMODE_SWR
        while mem[busmode] & r.BUSMODE_SWR:
            if ms <= 0:
                raise OSError(ETIMEDOUT, self.no_clock())
            self.bus.delay_ms(1)
            ms -= 1
        self.filters.forget()

    def no_clock(self):
        """What to say when the reset does not end."""
        return "the MAC's reset does not end: no reference clock"

    def _defaults(self):
        # Everything that a soft reset forgets, in ESP-IDF's order (emac_hal_init_mac_default,
        # emac_hal_init_dma_default, emac_hal_set_address).
        mem = self._mem
        mac = self._mac
        mem[mac + r.INTMASK] = r.INTMASK_ALL
        # Checksums are left to software: the engine of some revisions drops good frames.
        mem[mac + r.CONFIG] = r.CONFIG_PS | r.CONFIG_FES | r.CONFIG_DM
        self.filters.write(mem)
        self._flush()
        mem[self._dma + r.OPMODE] = r.OPMODE_STORE_FORWARD
        mem[self._dma + r.BUSMODE] = r.BUSMODE_DEFAULT | self._layout.busmode
        self.filters.station(mem, 0, self.mac)
        mem[mac + r.FLOWCTRL] = 0
        # Nobody would serve an interrupt: frames are found by polling.
        mem[self._dma + r.INTEN] = 0

    def _flush(self):
        # Empty the transmit FIFO. OPMODE must not be written again before the bit has cleared.
        mem = self._mem
        opmode = self._dma + r.OPMODE
        mem[opmode] = (mem[opmode] & ~(r.OPMODE_ST | r.OPMODE_SR)) | r.OPMODE_FTF
        i = _FLUSH_STEPS
        while mem[opmode] & r.OPMODE_FTF:
            i -= 1
            if not i:
                raise OSError(ETIMEDOUT, "the transmit FIFO is not flushed: no reference clock")
            self.bus.delay_us(1)

    @property
    def mac(self):
        """The station's address, 6 bytes, which may change at any time. ValueError: a group's."""
        return self._station

    @mac.setter
    def mac(self, mac):
        if len(mac) != 6 or mac[0] & 1:
            raise ValueError("not the MAC address of a station")
        self._station = bytes(mac)
        if self._up and self.error is None:
            self.filters.station(self._mem, 0, mac)

    def filter(self, promiscuous=False, multicast=None):
        """What to receive beside the station's address and broadcasts.

        multicast: a list of addresses (6 bytes each), None: all. Up to 8 are compared one by one;
        of more the core's hash table decides, where HWFEAT says there is one, else all are let in.
        OSError(EINVAL) for an address that is not a multicast one.
        """
        self.filters.choose(promiscuous, multicast)
        if self._up and self.error is None:
            self.filters.write(self._mem)

    # Start and stop. The order is that of emac_hal_start and emac_hal_stop in ESP-IDF.

    def _start(self, mode, pause):
        self._halt()
        mem = self._mem
        config = self._mac + r.CONFIG
        opmode = self._dma + r.OPMODE
        word = r.CONFIG_PS
        if mode & 2:
            word |= r.CONFIG_FES
        if mode & 4:
            word |= r.CONFIG_DM
        if self.loopback == "mac":
            word |= r.CONFIG_LM
        mem[config] = word
        mem[self._mac + r.FLOWCTRL] = r.FLOWCTRL_PAUSE if pause else 0
        self._forget()
        self._rx.rewind()
        self._tx.rewind()
        mem[self._dma + r.RXBASE] = self._rx.address
        mem[self._dma + r.TXBASE] = self._tx.address
        mem[self._status] = r.STATUS_ALL
        # The transmitter of the MAC before that of the DMA: the other way round it may hang
        # (emac_hal_start). The receiver last, so that nothing waits in the FIFO.
        mem[config] = word | r.CONFIG_TE
        word |= r.CONFIG_TE | r.CONFIG_RE
        mem[opmode] = r.OPMODE_STORE_FORWARD | r.OPMODE_ST
        mem[opmode] = r.OPMODE_STORE_FORWARD | r.OPMODE_ST | r.OPMODE_SR
        mem[config] = word
        mem[self._rxpoll] = 0
        self._running = True

    def _stop(self):
        # No buffer is written to afterwards.
        self._running = False
        self._n = 0
        mem = self._mem
        config = self._mac + r.CONFIG
        opmode = self._dma + r.OPMODE
        mem[opmode] = mem[opmode] & ~r.OPMODE_ST
        quiet = self._quiet(r.DEBUG_TX_FRAME)
        mem[config] = mem[config] & ~(r.CONFIG_RE | r.CONFIG_TE)
        quiet = self._quiet(r.DEBUG_RX_READ) and quiet
        mem[opmode] = mem[opmode] & ~r.OPMODE_SR
        self._flush()
        return quiet

    def _quiet(self, bits):
        # Wait until DEBUG shows none of the bits, a bounded time.
        i = _STOP_STEPS
        while self._mem[self._mac + r.DEBUG] & bits:
            i -= 1
            if not i:
                return False
            self.bus.delay_us(_STOP_STEP_US)
        return True

    def _halt(self):
        # Stop if the hardware says that it runs: an exception (Ctrl-C) may have come between it
        # and `_running`.
        self._running = False
        if self._mem[self._dma + r.OPMODE] & (r.OPMODE_ST | r.OPMODE_SR):
            self._stop()

    def down(self):
        """Stop the DMA and the receiver; no buffer is written to afterwards."""
        if not self._up:
            return
        self._up = False
        self._linked = False
        self._forget()
        if self.error is None:
            try:
                self._halt()
            except OSError as e:
                self.error = e
                self.kill()

    def kill(self):
        """Stop the DMA by force, when the core no longer answers."""

    # The link.

    def link(self):
        """True while the wire is usable."""
        return self._linked

    @property
    def speed(self):
        """Mbit/s of the link."""
        return 100 if self._mode & 2 else 10

    @property
    def full_duplex(self):
        return bool(self._mode & 4)

    _mode = 0

    def _check(self, now):
        # Ask the PHY; follow the link. Also the time to look after what makes no progress.
        self._checked = now
        if self.error is not None:
            self._wait = _LINK_UP_MS
            self._restart()
            return
        self._wait = _LINK_UP_MS if self._running else _LINK_DOWN_MS
        state = 1 if self.loopback else self.phy.link()
        if state <= 0:
            if state < 0:
                self.counters["phy_silent"] += 1
            elif self._silent:
                # It is back, and has forgotten what it was told.
                self._start_phy()
            self._silent = state < 0
            self._wait = _LINK_DOWN_MS
            self._unlink()
            if self._running:
                self._try_stop()
            return
        if self._silent:
            self._silent = False
            self._start_phy()
            return
        if self._running:
            self._count_missed()
            if self._watch_rx():
                self._watch_tx()
            if self.error is not None:
                return
        if not self._running or state == 2:
            # Up, or up again since the last look: the far end may be another one now.
            mode = _phy.FULL100 if self.loopback else self.phy.mode()
            if mode not in (1, 2, 5, 6):
                mode = _phy.PHY.mode(self.phy)
            if self._running and mode == self._mode:
                return
            self._mode = mode
            self._wait = _LINK_UP_MS
            if self._try_start() and not self._linked:
                self._linked = True
                self.counters["link_up"] += 1

    def _unlink(self):
        if self._linked:
            self._linked = False
            self.counters["link_down"] += 1

    def _start_phy(self):
        try:
            self.phy.start(self.bus, self.flow_control, self.force)
        except OSError:
            self.counters["failures"] += 1

    def _try_start(self):
        # With what the PHY says; False if an earlier run cannot be stopped.
        pause = self.flow_control and not self.loopback and self.phy.pause(self._mode)
        try:
            self._start(self._mode, pause)
        except OSError as e:
            self._fail(e)
            return False
        return True

    def _try_stop(self):
        try:
            self._stop()
        except OSError as e:
            self._fail(e)

    def _fail(self, e):
        # Nothing works until a reset does.
        self.error = e
        self.counters["failures"] += 1
        self._unlink()

    # Trouble.

    def _attend(self, status):
        # STATUS shows something that has to be seen to. What it shows is cleared by writing it.
        c = self.counters
        self._mem[self._status] = status & _TROUBLE
        if status & r.STATUS_FBI:
            # The DMA is dead until a reset.
            c["bus_error"] += 1
            self._fatal += 1
            self._restart()
            return
        if status & r.STATUS_RU:
            c["rx_suspended"] += 1
            self._given = True  # a poll demand is due
        if status & r.STATUS_OVF:
            c["rx_overflow"] += 1
        if status & r.STATUS_RWT:
            c["rx_watchdog"] += 1
        if status & (r.STATUS_RU | r.STATUS_OVF):
            self._count_missed()
        if status & r.STATUS_TJT:
            c["tx_jabber"] += 1
        if status & r.STATUS_UNF:
            c["tx_underflow"] += 1
            self._mem[self._txpoll] = 0
        if status & r.STATUS_TPS:
            c["tx_stopped"] += 1
        if status & r.STATUS_RPS:
            c["rx_stopped"] += 1
        if status & (r.STATUS_TPS | r.STATUS_RPS):
            self._restart()

    def _count_missed(self):
        # MISSED clears when it is read.
        word = self._mem[self._dma + r.MISSED]
        if word:
            self.counters["rx_missed"] += word & 0xFFFF
            self.counters["rx_fifo_lost"] += word >> 17 & 0x7FF

    def _restart(self):
        # Reset the core, set everything up again, and start if there is a link. If that fails, the
        # device says why in `error` and tries again later.
        self._running = False
        self._n = 0
        self._found = self._seen = 0
        if self._fatal > _FATAL_MAX:
            if self.error is None:
                self._try_stop()
                self._fail(OSError(ENODEV, "the DMA cannot reach its memory: fatal bus errors"))
            return
        try:
            self.reset(_RECOVER_MS)
            self._defaults()
        except OSError as e:
            self._fail(e)
            return
        self.error = None
        self.counters["restarts"] += 1
        if self._linked:
            self._try_start()
        else:
            self._wait = 0

    def _watch_rx(self):
        # While nothing is received all descriptors are the DMA's. If the next one is and another
        # is not, somebody wrote into them, and the DMA is not where the driver looks: start anew.
        rx = self._rx
        at = self._rx_at
        if self._seen == self._found and not self._n and rx.owned(at):
            for i in range(rx.count):
                if not rx.owned(i) and rx.owned(at):
                    self.counters["rx_corrupt"] += 1
                    self._restart()
                    return False
        return True

    def _watch_tx(self):
        # A frame that made no progress since the last look, with no pause frame to hold it: start
        # anew.
        pending = self.unsent
        done = self._tx_turn - pending
        if not pending or done != self._tx_done:
            self._tx_done = done if pending else -1
        elif not self._mem[self._mac + r.DEBUG] & r.DEBUG_TX_PAUSED:
            self.counters["tx_stuck"] += 1
            self._restart()

    # The way of a frame. One register is read, one viper routine called for a batch of received
    # frames; nothing here allocates.

    def recv(self):
        n = self._n
        if n:
            return n
        batches = 2  # a storm of bad frames must not keep the caller for ever
        while True:
            if self._seen == self._found:
                if not batches or not self._batch():
                    return 0
                batches -= 1
            n = self._lengths[self._seen]
            self._seen += 1
            if n > 0:
                self.rx = self._rx.buffers[self._rx_at]
                self._n = n
                self._fatal = 0
                return n
            self._bad(n)

    def release(self):
        if self._n:
            self._n = 0
            self._give_back()

    def _give_back(self):
        # The descriptor that is next goes back to the DMA: a byte is enough to set OWN, all else
        # in it is still as the driver wrote it.
        at = self._rx_at
        rx = self._rx
        rx.memory[at * rx.stride + OWN_BYTE] = 0x80
        at += 1
        self._rx_at = 0 if at == rx.count else at
        self._given = True

    def _batch(self):
        # Whether there are received descriptors to look at.
        if not self._up:
            return False
        mem = self._mem
        if self._given:
            # Whether the DMA waits for it or not: a demand too many does no harm.
            self._given = False
            mem[self._rxpoll] = 0
        if self.error is None:
            # (It may be in the middle of a reset that does not end.)
            status = mem[self._status]
            if status & _TROUBLE and self._running:
                self._attend(status)
        status = self._ticks()
        if ticks_diff(status, self._checked) >= self._wait:
            self._check(status)
        if not self._running:
            return False
        if self._rx.owned(self._rx_at):
            return False
        self._scan()
        return self._found

    def _scan(self):
        self._seen = 0
        rx = self._rx
        self._found = _rx_scan(rx.memory, rx.want, self._lengths, self._rx_at, rx.count, rx.words)

    def _bad(self, code):
        # A descriptor without a good frame.
        if code == -3:
            # The DMA may be anywhere by now.
            self.counters["rx_corrupt"] += 1
            self._restart()
            return
        if code == -2:
            self.counters["rx_piece"] += 1
        elif code == -1:
            self.counters["rx_error"] += 1
        else:
            self.counters["rx_length"] += 1
        self._give_back()

    def borrow(self):
        if not self._running:
            return None
        tx = self._tx
        o = self._tx_at * tx.stride
        m = tx.memory
        if m[o + OWN_BYTE] & 0x80:
            return None
        if m[o + ES_BYTE] & 0x80:
            # The frame that was here before was not sent; it is counted once.
            m[o + ES_BYTE] = 0
            self.counters["tx_error"] += 1
        return tx.buffers[self._tx_at]

    def send(self, n):
        if not self._running or not 14 <= n <= self.mtu + 18:
            self.counters["tx_refused"] += 1
            return
        at = self._tx_at
        tx = self._tx
        _tx_give(tx.memory, tx.want, at * tx.words, n)
        at += 1
        self._tx_at = 0 if at == tx.count else at
        self._tx_turn = (self._tx_turn + 1) & 0x3FFFFFFF
        self._mem[self._txpoll] = 0

    @property
    def unsent(self):
        """Frames that the transmitter still holds."""
        n = 0
        if self._running:
            for i in range(self._tx.count):
                if self._tx.owned(i):
                    n += 1
        return n

    def fileno(self):
        return self.bus.fileno()
