# What a DesignWare GMAC lets in: the station's address, eight more, a hash table, or everything.
#
# Sources: TRM, EMACFF_REG, EMACADDRnHIGH_REG and EMACADDRnLOW_REG; ESP-IDF emac_ll.h
# (emac_ll_set_addr). The hash table is of the generic core; the TRM does not have it.
from ...errors import EINVAL
from . import registers as r


class Filters:
    """The filters of a GMAC at bus addresses `mac` and `dma`."""

    def __init__(self, mac, dma):
        self._mac = mac
        self._hwfeat = dma + r.HWFEAT
        self.promiscuous = False
        self.multicast = None  # addresses to receive, None: all
        self._used = 0

    def choose(self, promiscuous, multicast):
        """See GMAC.filter()."""
        for mac in multicast or ():
            if len(mac) != 6 or not mac[0] & 1:
                raise OSError(EINVAL, "not a multicast MAC address")
        self.promiscuous = promiscuous
        self.multicast = multicast

    def forget(self):
        """The core was reset: no address is compared but the station's."""
        self._used = 0

    def station(self, mem, i, mac):
        """Write the station's address (i = 0), or the i-th of the eight.

        High first: the pair takes effect when the low half is written.
        """
        at = self._mac + r.ADDR0HIGH + 8 * i
        high = mac[4] | mac[5] << 8
        mem[at] = high | r.ADDRHIGH_AE if i else high
        mem[at + 4] = mac[0] | mac[1] << 8 | mac[2] << 16 | mac[3] << 24

    def write(self, mem):
        """Write all but the station's address."""
        groups = self.multicast
        word = r.FILTER_PR if self.promiscuous else 0
        if groups is None:
            word |= r.FILTER_PM
            groups = ()
        elif len(groups) > r.FILTERS:
            if mem[self._hwfeat] & r.HWFEAT_HASH:
                word |= r.FILTER_HMC
                self._hash(mem, groups)
            else:
                word |= r.FILTER_PM
            groups = ()
        i = len(groups)
        while i < self._used:
            i += 1
            mem[self._mac + r.ADDR0HIGH + 8 * i] = 0
        self._used = len(groups)
        for i in range(len(groups)):
            self.station(mem, 1 + i, groups[i])
        mem[self._mac + r.FRAMEFILTER] = word

    def _hash(self, mem, groups):
        from binascii import crc32

        # The index is the upper six bits of the address's CRC-32, bit-reversed.
        table = [0, 0]
        for mac in groups:
            crc = crc32(mac)
            index = 0
            for _ in range(6):
                index = index << 1 | crc & 1
                crc >>= 1
            table[index >> 5] |= 1 << (index & 31)
        mem[self._mac + r.HASHHIGH] = table[1]
        mem[self._mac + r.HASHLOW] = table[0]
