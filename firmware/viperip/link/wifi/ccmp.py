# CCMP-128 (IEEE 802.11-2016 12.5.3): an MPDU sealed or opened in place, with the firmware's AES.
#
#   MPDU header, 24 (26 with QoS) | CCMP header, 8 | data | MIC, 8
#
# A call of cryptolib handles 16 blocks. Its CBC object cannot be told an IV again, but what it is
# left with is its last output, so the first block of a frame is added to that: a new chain from 0.
from cryptolib import aes

from ... import native

_n = native.load("ccmp")
_start = _n.ccm_start
_count = _n.ccm_count
_xor = _n.ccm_xor
_load = _n.ccm_load
_mic = _n.ccm_mic
_newer = _n.pn_newer
_keep = _n.pn_keep
_copy = native.load("memory").copy

_CHUNK = const(256)
_TIDS = const(17)  # 16 of QoS, and frames without

# Nothing in here outlives a call, so all keys share it. No function may have more than a handful
# of locals: it would take heap at every call.
_work = bytearray(48 + 16 + 16 + _CHUNK)  # see ccm_start()
_head = memoryview(_work)[:48]
_head_out = bytearray(48)
_counters = memoryview(_work)[64:]
_counters0 = memoryview(_work)[64:80]  # the block for the MIC
_stream = bytearray(16 + _CHUNK)
_stream0 = bytearray(16)
_data = bytearray(_CHUNK)
_data_out = bytearray(_CHUNK)
_mac = bytearray(16)


class Key:
    """One temporal key: what was sent and seen under it. `slot`: where the MAC has it, -1: not.

    rsc: the packet number (6 bytes, lowest first) at or below which nothing is accepted.
    """

    def __init__(self, tk, kid=0, rsc=bytes(6)):
        self.tk = bytes(tk)
        self.kid = kid
        self.slot = -1
        self.pn = bytearray(6)  # of the last frame sent
        self.seen = bytearray(bytes(rsc[:6]) * _TIDS)
        self._ecb = aes(self.tk, 1)
        self._cbc = aes(self.tk, 2, bytes(16))
        self._last = bytearray(16)
        self._block = 1

    def number(self, buf, off):
        """Write the CCMP header of the next frame to send at buf[off:]."""
        _n.pn_next(self.pn)
        _n.pn_put(buf, off, self.pn, self.kid)

    def fresh(self, buf, off, tid):
        """Whether the CCMP header at buf[off:] has a packet number not seen before."""
        return _newer(buf, off, self.seen, tid * 6)

    def accept(self, buf, off, tid):
        """Remember that packet number: only what was authentic comes here."""
        _keep(buf, off, self.seen, tid * 6)

    def seal(self, buf, off, hdr, n):
        """Encrypt the MPDU of n bytes, of which the last 8 are for the MIC."""
        n -= hdr + 16
        self._begin(buf, off, hdr, n)
        off += hdr + 8
        while n > 0:
            hdr = _CHUNK if n > _CHUNK else n
            self._authenticate(buf, off, hdr)
            self._cipher(buf, off, hdr)
            off += hdr
            n -= hdr
        _mic(buf, off, _mac, _stream0, 1)

    def open(self, buf, off, hdr, n):
        """Decrypt the MPDU of n bytes. False: its MIC is wrong."""
        n -= hdr + 16
        self._begin(buf, off, hdr, n)
        off += hdr + 8
        while n > 0:
            hdr = _CHUNK if n > _CHUNK else n
            self._cipher(buf, off, hdr)
            self._authenticate(buf, off, hdr)
            off += hdr
            n -= hdr
        return not _mic(buf, off, _mac, _stream0, 0)

    def _begin(self, buf, off, hdr, n):
        _copy(_work, 48, self._last, 0, 16)
        _start(_work, buf, off, hdr, n)
        self._cbc.encrypt(_head, _head_out)
        _copy(_mac, 0, _head_out, 32, 16)
        _copy(self._last, 0, _mac, 0, 16)
        self._ecb.encrypt(_counters0, _stream0)
        self._block = 1

    def _authenticate(self, buf, off, n):
        _load(_data, buf, off, n)
        self._cbc.encrypt(_data, _data_out)
        _copy(_mac, 0, _data_out, (n - 1) & ~15, 16)
        _copy(self._last, 0, _data_out, _CHUNK - 16, 16)

    def _cipher(self, buf, off, n):
        _count(_counters, self._block)
        self._block += _CHUNK // 16
        self._ecb.encrypt(_counters, _stream)
        _xor(buf, off, _stream, n)
