# Runs on MicroPython for RV32 in QEMU, from tests/host/test_wifi_rv32.py: the driver of link/wlan,
# its shims as machine code, and a firmware in C that calls back (host_tools/.../fake_wifi.c).
#
# setup() is told the addresses of that firmware's symbols, and the table made from its ELF file.
import gc
import sys

import machine
import micropython
import uctypes

NAMES = (
    "given",
    "freed",
    "wrong",
    "starved",
    "lwip",
    "nobody",
    "sent",
    "length",
    "silenced",
    "tx_error",
    "calls",
    "bad",
)
KEPT = 0x85000000  # memory that nobody else uses: it outlives soft resets
MAC = b"\x02\0\0\0\0\x61"
DATA = bytes([i * 7 & 0xFF for i in range(1600)])

at = None  # addresses of symbols
table = None


def word(address):
    return machine.mem32[address] & 0xFFFFFFFF


def state(name):
    return word(at["fake_state"] + 4 * NAMES.index(name))


def set_state(name, value):
    machine.mem32[at["fake_state"] + 4 * NAMES.index(name)] = value


class Keeper:
    def get(self, interface):
        return word(KEPT + 4 * interface)

    def put(self, interface, address):
        machine.mem32[KEPT + 4 * interface] = address


class Station:
    PM_NONE = 0

    def __init__(self, interface):
        self.on = self.associated = False

    def active(self, on=None):
        if on is None:
            return self.on
        self.on = bool(on)
        return None

    def config(self, *names, **settings):
        return MAC

    def ifconfig(self, four):
        pass

    def isconnected(self):
        return self.associated

    def connect(self, *arguments):
        self.associated = True
        invoke("fake_connected", 0)

    def disconnect(self):
        self.associated = False

    def status(self):
        return 1010 if self.associated else 1001


class Network:
    WLAN = Station


chip = None


def invoke(name, *arguments):
    return chip.invoke(at[name], *arguments)


def receive(data, n, times=1, interface=0):
    invoke("fake_receive", interface, uctypes.addressof(data), n, times)


def setup(addresses, symbols):
    global at, table, chip
    from viperip.link.wlan.shim import Chip

    at = addresses
    table = symbols
    chip = Chip(symbols["symbols"], Keeper())
    sys.modules["network"] = Network


def station(own=True, slots=16):
    from viperip.link.wlan.wlan import WLAN

    dev = WLAN(0, table if own else None, slots, port=chip if own else None)
    dev.up()
    dev.connect("network", "passphrase", timeout_ms=1000)
    assert dev.link()
    return dev


def read(dev):
    out = []
    while True:
        n = dev.recv()
        if not n:
            return out
        out.append(bytes(dev.rx[dev.rx_off : dev.rx_off + n]))
        dev.release()


def send(dev, data):
    buf = dev.borrow()
    buf[dev.tx_off : dev.tx_off + len(data)] = data
    dev.send(len(data))


def counted(dev, **expected):
    c = dev.counters
    for name in expected:
        assert c[name] == expected[name], (name, c)


def balanced(held=0):
    assert state("wrong") == state("bad") == state("starved") == 0
    assert state("given") - state("freed") == held, (state("given"), state("freed"))


# Calls.


def calls():
    text = bytearray(b"seventeen letters\0and more")
    assert invoke("strlen", uctypes.addressof(text)) == 17
    a = bytearray(b"abcdefgh")
    b = bytearray(8)
    address = uctypes.addressof(b) & 0xFFFFFFFF
    assert address > 0x7FFFFFFF  # bit 31 of all arguments and results counts here
    assert invoke("memcpy", address, uctypes.addressof(a), 5) == address
    assert b == b"abcde\0\0\0"
    assert invoke("esp_get_free_heap_size") == 4 * 16384


def not_taken():
    # Another firmware's table: refused before anything of the firmware is called.
    from viperip.errors import ENODEV
    from viperip.link.wlan.wlan import WLAN

    sys.modules["network"] = Network
    for value in (table, dict(table, elf_sha256="00" * 31 + "01")):
        try:
            WLAN(0, value)
        except OSError as e:
            assert e.args[0] == ENODEV and "another firmware" in e.args[1]
        else:
            raise AssertionError("it was taken")
    assert state("calls") == 0


# Frames; own: by the shims, else by the module in C.


def frames(own):
    dev = station(own)
    assert state("silenced")
    if own:
        assert state("silenced") == word((id(dev.firmware) & 0xFFFFFFFF) + 8)
    for n in (14, 15, 60, 577, 1514, 1518):
        receive(DATA[n % 7 :], n)
        assert read(dev) == [DATA[n % 7 :][:n]]
        send(dev, DATA[1:][:n])
        assert state("length") == n
        assert uctypes.bytearray_at(at["fake_sent"], n) == DATA[1:][:n]
    counted(dev, rx=6, tx=6, rx_length=0)
    for n in (0, 1, 13, 1519, 1600):
        receive(DATA, n)
    assert read(dev) == []
    counted(dev, rx_length=5)
    # The length is a uint16 in C, too.
    receive(DATA, 0x10000 + 60)
    assert read(dev) == [DATA[:60]]
    set_state("tx_error", 0x3015)
    send(dev, DATA[:60])
    set_state("tx_error", 0x101)
    send(dev, DATA[:60])
    assert dev.unsent == 60
    set_state("tx_error", 0)
    read(dev)
    counted(dev, tx=7, tx_no_link=1)
    balanced()
    dev.down()


def full_ring(own):
    dev = station(own)
    receive(DATA, 60, 50)
    balanced(16)
    assert len(read(dev)) == 16
    counted(dev, rx_dropped=34)
    balanced()
    # In C its callback is called 10 times while the ring is read.
    for i in range(300):
        receive(DATA, 60 + i, 1 + i % 5)
        if dev.recv():
            dev.release()
    read(dev)
    balanced()
    dev.down()


def detach(own):
    dev = station(own)
    receive(DATA, 60, 5)
    dev.down()
    balanced()
    counted(dev, rx_drained=5)
    receive(DATA, 60, 3)
    assert state("nobody") == 3
    dev.up()
    dev.connect("network", timeout_ms=1000)
    receive(DATA, 61)
    assert read(dev) == [DATA[:61]]
    if own:
        # One that was under way when the ring was closed.
        from viperip.link.wlan import layout

        ring = dev._frames._ring
        callback = int.from_bytes(ring[4 * layout.CALLBACK : 4 * layout.CALLBACK + 4], "little")
        dev.down()
        chip.invoke(at["esp_wifi_internal_reg_rxcb"], 0, callback)
        receive(DATA, 60, 4)
        balanced()
        counted(dev, rx_late=4)
        chip.invoke(at["esp_wifi_internal_reg_rxcb"], 0, 0)
    balanced()
    dev.down()


def reconnect(own):
    dev = station(own)
    dev.firmware.disconnect()
    dev._check(0)
    assert not dev.link()
    dev.firmware.connect()
    receive(DATA, 60, 2)
    assert state("lwip") == 2
    dev._check(0)
    assert dev.link()
    receive(DATA, 60, 2)
    assert len(read(dev)) == 2
    balanced()
    dev.down()


def no_heap(own):
    dev = station(own)
    frame = DATA[:1514]
    address = uctypes.addressof(frame)
    fake = at["fake_receive"]
    gc.collect()
    taken = 0
    for i in range(60):
        chip.invoke(fake, 0, address, 1514, 1)
        total = micropython.mem_total()
        if dev.recv():
            dev.release()
        dev.borrow()
        dev.send(60)
        total = micropython.mem_total() - total
        if i > 10:
            taken += total
    assert taken == 0, taken
    dev.down()


def faults(own, rounds):
    # Frames with faults, in C as they come; every one is given back once.
    dev = station(own, 8)
    seed = 7
    slots = 8 if own else 16
    before = state("given") - state("lwip")
    for i in range(rounds):
        seed = (seed * 3421 + 7) % 131071
        receive(DATA, seed % 1700, seed % 11)
        for _ in range(seed % 9):
            if dev.recv():
                dev.release()
        what = seed % 97
        if what == 1:
            dev.firmware.disconnect()
            dev._check(i)
        elif what < 5:
            dev.firmware.connect()
            dev._check(i)
        elif what == 5:
            dev.down()
            dev.up()
        set_state("tx_error", (0, 0, 0x101, 0x3015)[seed & 3])
        if dev.borrow():
            dev.send(60)
        assert state("given") - state("freed") <= slots
    dev.down()
    set_state("tx_error", 0)
    balanced()
    c = dev.counters
    names = ("rx", "rx_length", "rx_dropped", "rx_late", "rx_drained", "rx_echo")
    assert sum(c[n] for n in names) == state("given") - state("lwip") - before, c
    assert c["rx_dropped"] and c["lost"] and c["rx_drained"] and c["tx_no_link"]
    return state("given")


def left_behind(own):
    # A program that ends without a word, with frames in the ring.
    station(own)
    receive(DATA, 60, 5)
    balanced(5)


def found_again(own):
    # After a soft reset: frames have come meanwhile, nothing was lost.
    given = state("given")
    receive(DATA, 60, 30)
    assert state("given") == given + 30
    balanced(16)
    dev = station(own)
    counted(dev, adopted=1, rx_drained=0, rx_dropped=0)
    balanced()
    receive(DATA, 99)
    assert read(dev) == [DATA[:99]]
    dev.down()
    balanced()
