# MicroPython's `espnow` module and the air between boards: what the module's documentation and
# ports/esp32/modespnow.c promise, so far as they do.
#
# Each Board stands for the modules `espnow` and `network` of one board. Not modelled: transmission
# time, ACKs and retries (a message that is lost is lost), the default primary key. Whether a board
# that has a key for another one takes what that one sends it in the clear is not documented: here
# it does not.from viperip.stack import diff

from viperip.stack import diff

_BASE = const(12388)  # ESP_ERR_ESPNOW_BASE
_NAMES = ("", "NOT_INIT", "ARG", "NO_MEM", "FULL", "NOT_FOUND", "INTERNAL", "EXIST", "IF", "CHAN")
_HEAD = const(14)  # espnow_pkt_t of version 2: what stands before a message in the ring
_TOTAL_PEERS = const(20)
_ENCRYPTED_PEERS = const(6)


def _error(name):
    return OSError(-(_BASE + _NAMES.index(name)), "ESP_ERR_ESPNOW_" + name)


class Air:
    """Where messages go from board to board.

    loss, dup, late: shares of the messages, 0 to 1, drawn for each receiver; delay: milliseconds,
    20 more for those that are late; ticks: the clock. Counters: sent, lost, undecrypted, too_long,
    unheard (another channel, no ESP-NOW). seen: called with (from, to, message) for
    each one that is sent.
    """

    def __init__(self, loss=0, dup=0, late=0, delay=0, seed=1, ticks=None):
        self.loss = loss
        self.dup = dup
        self.late = late
        self.delay = delay
        self.ticks = ticks
        self.boards = []
        self.sent = self.lost = self.undecrypted = self.too_long = self.unheard = 0
        self.seen = None
        self._flying = []  # (due, board, from, message)
        self._x, self._y = seed, 0xACE1

    def chance(self):
        # Marsaglia's xorshift on two 16-bit words, from 0 to 1: the same on every port.
        t = (self._x ^ self._x << 5) & 0xFFFF
        self._x = y = self._y
        self._y = y = (y ^ y >> 1) ^ (t ^ t >> 3)
        return y / 65536

    def put(self, sender, mac, message, keys):
        self.sent += 1
        if self.seen:
            self.seen(sender.mac, mac, message)
        for board in self.boards:
            if board is not sender and (mac[0] & 1 or board.mac == mac):
                for _ in range(2 if self.chance() < self.dup else 1):
                    self._fly(board, sender, message, keys, mac[0] & 1)

    def _fly(self, board, sender, message, keys, group):
        if self.chance() < self.loss:
            self.lost += 1
            return
        if not board.wlan.on or not board.radio.running or board.channel != sender.channel:
            self.unheard += 1
            return
        if not group and keys != board.radio.keys_for(sender.mac):
            self.undecrypted += 1
            return
        if len(message) > board.MAX_DATA_LEN:
            # "a V1 device will either truncate the data or discard the packet"
            self.too_long += 1
            if not board.truncates:
                return
            message = message[: board.MAX_DATA_LEN]
        delay = self.delay + (20 if self.chance() < self.late else 0)
        if delay:
            self._flying.append((self.ticks() + delay, board, sender.mac, message))
        else:
            board.radio.came(sender.mac, message)

    def land(self):
        # What is due arrives, whatever was sent first.
        if self._flying:
            now = self.ticks()
            for one in sorted(self._flying, key=lambda f: diff(f[0], now)):
                if diff(one[0], now) <= 0:
                    self._flying.remove(one)
                    one[1].radio.came(one[2], one[3])


class Board:
    """The module `espnow` of one board, version 1 or 2; `wlan` is its network.WLAN(0)."""

    ADDR_LEN = 6
    KEY_LEN = 16
    MAX_TOTAL_PEER_NUM = _TOTAL_PEERS
    MAX_ENCRYPT_PEER_NUM = _ENCRYPTED_PEERS

    def __init__(self, air, mac, version=2, truncates=False):
        self.air = air
        self.mac = mac
        self.truncates = truncates
        self.MAX_DATA_LEN = 1470 if version == 2 else 250
        self.exact = version == 1  # later versions take longer and shorter buffers, too
        self.channel = 1
        self.wlan = _WLAN(self)
        self.radio = _Radio(self)
        air.boards.append(self)

    def ESPNow(self):
        """The one object there is."""
        return self.radio

    def WLAN(self, ifidx):
        """As network.WLAN."""
        return self.wlan


class _WLAN:
    PM_NONE = 0

    def __init__(self, board):
        self._board = board
        self.on = False
        self.pm = 1

    def active(self, on=None):
        if on is None:
            return self.on
        self.on = bool(on)
        return self.on

    def config(self, name=None, **kw):
        if name == "mac":
            return self._board.mac
        if name == "channel":
            return self._board.channel
        if kw and not self.on:
            raise OSError(-12290, "ESP_ERR_WIFI_NOT_STARTED")
        self._board.channel = kw.pop("channel", self._board.channel)
        self.pm = kw.pop("pm", self.pm)
        if name is not None or kw:
            raise ValueError("unknown config param")
        return None


class _Radio:
    """ESPNow. Tests set no_memory (how many sends fail so) and broken (the ring is)."""

    def __init__(self, board):
        self._board = board
        self._rxbuf = 2 * (_HEAD + board.MAX_DATA_LEN)
        self._ring = []
        self._used = 0
        self._size = 0
        self._pmk = None
        self._peers = {}
        self._stats = [0, 0, 0, 0, 0]
        self.running = False
        self.no_memory = 0
        self.broken = False
        self.peers_table = {}

    def active(self, on=None):
        if on is not None:
            if on and not self.running:
                self._size = self._rxbuf
                self.broken = False
            elif not on:
                self._peers = {}
            self.running = bool(on)
            if not on:
                self._ring = []
                self._used = 0
        return self.running

    def config(self, name=None, **kw):
        if name == "rxbuf":
            return self._rxbuf
        self._rxbuf = kw.pop("rxbuf", self._rxbuf)
        if name is not None or kw:
            raise ValueError("unknown config param")
        return None

    def _check(self):
        if not self.running:
            raise _error("NOT_INIT")

    # Messages.

    def came(self, mac, message):
        if not self.running or _HEAD + len(message) >= self._size + 1 - self._used:
            self._stats[4] += 1
            return
        self._used += _HEAD + len(message)
        self._ring.append((mac, message))
        self._stats[3] += 1

    def any(self):
        self._check()
        self._board.air.land()
        return bool(self._ring)

    def recvinto(self, data, timeout_ms=None):
        self._check()
        assert timeout_ms == 0  # the link never waits
        into = data[1]
        if self._board.exact and len(into) != self._board.MAX_DATA_LEN:
            raise ValueError("invalid buffer length")
        if not self.any():
            return 0
        if self.broken:
            raise ValueError("ESPNow.recv(): buffer error")
        mac, message = self._ring.pop(0)
        self._used -= _HEAD + len(message)
        if len(message) > len(into):
            raise ValueError("invalid buffer length")
        # As there, a reference to the one copy.
        if mac not in self.peers_table:
            self.peers_table[mac] = [0, 0]
        self.peers_table[mac][0] = -40 - mac[5]
        data[0] = mac
        into[: len(message)] = message
        return len(message)

    def send(self, mac, message, sync=True):
        self._check()
        if len(mac) != 6:
            raise ValueError("invalid buffer length")
        if not 0 < len(message) <= self._board.MAX_DATA_LEN:
            raise _error("ARG")
        if not self._board.wlan.on:
            raise _error("IF")
        if mac not in self._peers:
            raise _error("NOT_FOUND")
        if self.no_memory:
            # (The firmware tries for two seconds before it says so.)
            self.no_memory -= 1
            raise _error("NO_MEM")
        self._stats[0] += 1
        self._stats[1] += 1
        self._board.air.put(self._board, bytes(mac), bytes(message), self.keys_for(mac))
        return True

    def stats(self):
        return tuple(self._stats)

    # Peers and keys.

    def keys_for(self, mac):
        lmk = self._peers.get(mac)
        return (self._pmk, lmk) if lmk else None

    def set_pmk(self, pmk):
        self._check()
        if len(pmk) != 16:
            raise ValueError("invalid buffer length")
        self._pmk = bytes(pmk)

    def add_peer(self, mac, lmk=None, channel=0, ifidx=0, encrypt=None):
        self._check()
        mac = bytes(mac)
        if len(mac) != 6 or lmk and len(lmk) != 16:
            raise ValueError("invalid buffer length")
        if mac in self._peers:
            raise _error("EXIST")
        if len(self._peers) >= _TOTAL_PEERS:
            raise _error("FULL")
        if lmk:
            if mac[0] & 1:
                raise _error("ARG")  # "encrypting multicast packets is not supported"
            if self.peer_count()[1] >= _ENCRYPTED_PEERS:
                raise _error("FULL")
        if channel not in (0, self._board.channel):
            raise _error("CHAN")
        self._peers[mac] = bytes(lmk) if lmk else b""

    def del_peer(self, mac):
        self._check()
        if mac not in self._peers:
            raise _error("NOT_FOUND")
        del self._peers[mac]

    def get_peers(self):
        return tuple([(mac, lmk, 0, 0, bool(lmk)) for mac, lmk in self._peers.items()])

    def peer_count(self):
        return len(self._peers), len([1 for lmk in self._peers.values() if lmk])
