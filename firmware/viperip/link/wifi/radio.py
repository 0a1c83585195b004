# What a station is given to reach the air.
from ... import native

_copy = native.load("memory").copy


class Radio:
    """A carrier of 802.11 MPDUs (without FCS) on one channel.

    A received MPDU is lent at rx[rx_off:rx_off+n] until release(), as a LinkDevice lends frames;
    rx_off is a multiple of 4. To send, borrow() a buffer and send(off, n, slot) what lies in it.
    """

    mac = b"\x02\0\0\0\0\0"
    channels = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)  # those it can be tuned to
    channel = 0
    rx = b""
    rx_off = 0
    rx_frames = 0  # MPDUs it holds while nobody polls
    rssi = 0  # of the MPDU that is lent, dBm; 0: unknown

    def up(self):
        """Start receiving. OSError if the hardware does not answer."""

    def down(self):
        """Stop, and forget all keys."""

    def tune(self, channel):
        """Go to a channel of `channels`."""
        self.channel = channel

    def select(self, bssid):
        """What to receive: frames of this access point; None: beacons of all, to scan."""

    def set_key(self, kid, address, tk, group):
        """Have the MAC encrypt and decrypt with a key; its slot, -1: it cannot.

        What it decrypts arrives with its CCMP header and without MIC.
        """
        return -1

    def clear_keys(self):
        """Forget all keys."""

    def recv(self):
        """Length of the oldest received MPDU, 0: there is none."""
        return 0

    def release(self):
        """Give it back."""

    def borrow(self):
        """A buffer for an MPDU of up to 1,600 bytes, or None: try later."""
        return None

    def send(self, off, n, slot):
        """Send n bytes at `off`, a multiple of 4, of the borrowed buffer. With a slot of 0 or
        more the MAC encrypts them: 8 bytes for the MIC are counted in n."""

    def fileno(self):
        return -1


class WireRadio(Radio):
    """A radio on a link device that carries MPDUs in place of frames: no air, one channel."""

    def __init__(self, device, mac, channel=1):
        self.device = device
        self.mac = mac
        self.channels = (channel,)
        self.channel = channel
        self.rx_frames = device.rx_frames
        self.rx = bytearray(1664)
        self._n = 0
        self._tx = bytearray(1664)
        self._up = False

    def up(self):
        self.device.up()
        self._up = True

    def down(self):
        self._up = False
        self._n = 0
        self.device.down()

    def recv(self):
        if self._n or not self._up:
            return self._n
        n = self.device.recv()
        if n:
            # Copied, so that it lies on a word boundary.
            if n <= 1600:
                _copy(self.rx, 0, self.device.rx, self.device.rx_off, n)
                self._n = n
            self.device.release()
        return self._n

    def release(self):
        self._n = 0

    def borrow(self):
        return self._tx

    def send(self, off, n, slot):
        buf = self.device.borrow()
        if buf is not None:
            _copy(buf, self.device.tx_off, self._tx, off, n)
            self.device.send(n)

    def fileno(self):
        return self.device.fileno()
