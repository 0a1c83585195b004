# The Wi-Fi MAC of the ESP32 and the ESP32-S2. Espressif documents none of it.
#
# What is here was found out by others: esp32-open-mac (main/hardware.c, hwinit.c), esp-wifi-hal
# (wmac.rs, ll.rs, crypto.rs), esp-pacs (wifi patches), QEMU forks with the ESP32's Wi-Fi. The
# letter says how sure it is: A three sources, B two, C one, D a guess. Never run on hardware.


class ESP32:
    BASE = 0x3FF73000
    FILTER_CONTROL = 0x0D8  # B
    RX_CTRL = 0x084  # A
    RX_BASE = 0x088  # A; the next words: the next descriptor, the last
    INT_CAUSE = 0xC48  # A
    INT_CLEAR = 0xC4C
    MAC_CONTROL = 0xCB8  # A
    MAC_STOP = 0x17FF
    MAC_STOPPING = 0x2000
    TX_ERROR_CLEAR = 0xCBC  # B
    TX_ERROR = 0xCC0
    TX_DONE_CLEAR = 0xCC4  # A
    TX_DONE = 0xCC8
    TX_CONFIG = 0xD1C  # A, of slot 0; slot s is 8 * s lower
    TX_PLCP0 = 0xD20
    ROUTE = (0x3FF00104, 6)  # D: takes interrupt source 0 away from the PRO core; 0 gives it back
    RSSI = 96  # A: what is to be subtracted from the byte


class ESP32S2:
    BASE = 0x60033000
    FILTER_CONTROL = 0x0E0
    RX_CTRL = 0x088
    RX_BASE = 0x090
    INT_CAUSE = 0xC3C
    INT_CLEAR = 0xC40
    MAC_CONTROL = 0xCB8  # C
    MAC_STOP = 0x00FF1000
    MAC_STOPPING = 0x6000
    TX_ERROR_CLEAR = 0xC9C
    TX_ERROR = 0xCA0
    TX_DONE_CLEAR = 0xCA4
    TX_DONE = 0xCA8
    TX_CONFIG = 0xCFC
    TX_PLCP0 = 0xD00
    ROUTE = (0x3F4C2000, 6)  # D
    RSSI = 0  # D


CHIPS = {"esp32": ESP32, "esp32s2": ESP32S2}

# The same on both. Filters of interface 0: the low word of an address, then the high one.
BSSID = const(0x000)
BSSID_MASK = const(0x020)
RA = const(0x040)
RA_MASK = const(0x060)
FILTER_ENABLE = const(0x1FFFF)  # the high word of a mask: 16 bits, and bit 16
SCAN = const(0x110)  # FILTER_CONTROL: beacons, management and data of all (B)
CHECK_BSSID = const(0x2)  # C

# RX_CTRL: bit 31 enables, bit 0 has the list read anew, and clears itself.
RX_DRY = const(0x3FF00000)  # the next descriptor when there was none left (A; S2: D)

# Causes; frames received (0x01000024, A) and sent (0x80) are seen elsewhere.
INT_WATCHDOG = const(0x800)
INT_FATAL = const(0x600000)

TX_PLCP1 = const(0x1258)  # of slot 0; slot s is 0x3C * s lower
TX_PLCP2 = const(0x125C)
TX_DURATION = const(0x1268)
TX_PMD = const(0x1270)  # C: result in bits 15:12, 5: no ACK
TX_CONFIG_WORD = const(0x0200300A)  # AIFSN 2, backoff 3, timeout 10
TX_PLCP2_WORD = const(0x20)
PMD_NO_ACK = const(5)

# PLCP0: go (31), valid (30), and for unicast an ACK (24). As a signed number, which is a small
# int on the chip: 0xC1000000 is not, and nor is what a minus before 0x40000000 makes.
TX_GO = const(-0x3FFFFFFF - 1)
TX_WAIT_ACK = const(0x01000000)
TX_BIT28 = const(0x10000000)  # PLCP1: always set by two of three sources (D)
RATE = const(0x0B)  # 6 Mbit/s OFDM

CRYPTO = const(0x800)  # of interface 0 (C)
CRYPTO_CCMP = const(0x00030103)  # 0x30000 and 0x10103
CRYPTO_GENERAL = const(0x810)
KEY_ENABLE = const(0x814)  # a bit for each slot (B)
KEYS = const(0x1400)  # 40 bytes a slot: address, control, key (B)
KEY_SIZE = const(40)
KEY_PAIRWISE = const(0x6C)  # the upper half of control: CCMP, pairwise, bit 22
KEY_GROUP = const(0xCC)

# Descriptors: 12 bytes; size (11:0), length (23:12), eof (30), owner (31); buffer; next.
DESCRIPTOR = const(12)
EOF = const(0x40)  # of byte 3
OWNER = const(0x80)
