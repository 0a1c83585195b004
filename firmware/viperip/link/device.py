# The contract of all that carries frames: MAC drivers, tunnels, and the wrappers around them.


class LinkDevice:
    """A carrier of Ethernet frames (without preamble and FCS).

    Received frames are lent in place: recv() says how long the oldest one is and leaves it at
    rx[rx_off:rx_off+n] until release(). To send, borrow() a buffer, write the frame from tx_off
    on, and send(n) it; borrowing again without sending gives the same buffer. Frame offsets are
    even; 2 modulo 4 puts the IP header on a word boundary.
    """

    mac = b"\x02\0\0\0\0\0"  # station address, 6 bytes
    mtu = 1500  # largest payload of a frame, bytes
    rx = b""
    rx_off = 0
    tx_off = 2
    rx_frames = 0  # received frames the device can hold while nobody polls; 0: unknown
    unsent = 0  # bytes of a frame that found no room yet; every recv() tries again

    def up(self):
        """Start receiving. OSError if the hardware does not answer."""

    def down(self):
        """Stop; no frame arrives afterwards."""

    def link(self):
        """True while the wire is usable."""
        return True

    def filter(self, promiscuous=False, multicast=None):
        """What to receive beside frames for this station and broadcasts: everything, or the group
        addresses of a list (6 bytes each; None: all). A device may let more in."""

    def recv(self):
        """Length of the oldest received frame, 0 if there is none."""
        return 0

    def release(self):
        """Give the frame of the last recv() back."""

    def borrow(self):
        """An empty transmit buffer for a frame of up to mtu + 14 bytes, or None: try later."""
        return None

    def send(self, n):
        """Send the n bytes that were written into the borrowed buffer at tx_off."""

    def fileno(self):
        """A descriptor that becomes readable with a frame, or -1."""
        return -1


class QueueDevice(LinkDevice):
    """Received frames wait in a ring of buffers; the base of the in-memory links."""

    def __init__(self, mac, frames=16, mtu=1500):
        self.mac = mac
        self.mtu = mtu
        self.rx_off = 2
        self.rx_frames = frames
        self._queue = [bytearray(mtu + 16) for _ in range(frames)]
        self._length = [0] * frames
        self._head = 0
        self._count = 0
        self._tx = bytearray(mtu + 16)
        self.dropped = 0  # frames lost because the ring was full
        self.longest = mtu + 14  # frame that a buffer of the ring holds
        self.oversize = 0  # frames refused because they were longer

    def recv(self):
        if not self._count:
            return 0
        self.rx = self._queue[self._head]
        return self._length[self._head]

    def release(self):
        self._head = (self._head + 1) % len(self._queue)
        self._count -= 1

    def borrow(self):
        return self._tx

    def push(self, n):
        # Queue the n bytes of the buffer that slot() lent.
        self._length[(self._head + self._count) % len(self._queue)] = n
        self._count += 1

    def slot(self):
        # The buffer for the next frame, or None when the ring is full (which counts as a drop).
        if self._count == len(self._queue):
            self.dropped += 1
            return None
        return self._queue[(self._head + self._count) % len(self._queue)]
