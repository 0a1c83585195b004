# Stops the ESP32's Ethernet DMA before anything else runs. Ctrl-D gives the heap to a new program,
# but does not stop the DMA, which would go on writing into it. So: no import of the package, and
# nothing made on the heap, before this has been done. It does no harm where Ethernet is not used.
#
# TRM, DPORT_WIFI_CLK_EN_REG bit 14 and DPORT_CORE_RST_EN_REG bit 7, whose other bits are the
# radio's. Modelled; not yet run on silicon.
import sys

if "with ESP32" == getattr(sys.implementation, "_machine", "")[-10:]:  # no other chip has it
    mem32 = __import__("machine").mem32
    if mem32[0x3FF000CC] & 0x4000:
        mem32[0x3FF000D0] = mem32[0x3FF000D0] | 0x80
        mem32[0x3FF000D0] = mem32[0x3FF000D0] & ~0x80
        mem32[0x3FF000CC] = mem32[0x3FF000CC] & ~0x4000
