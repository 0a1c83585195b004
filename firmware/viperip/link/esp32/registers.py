# Registers of the ESP32's Ethernet MAC and of what stands around it.
#
# Names and bits: ESP32 Technical Reference Manual (TRM), chapter "Ethernet Media Access
# Controller" (register summary and descriptions); ESP-IDF soc/esp32 emac_dma_struct.h,
# emac_mac_struct.h, emac_ext_struct.h, dport_reg.h, io_mux_reg.h. The DMA and MAC blocks are a
# Synopsys DesignWare GMAC; on the ESP32 the DMA block lies below the MAC block, elsewhere above
# it, so both have their offsets from a base of their own.
#
# All addresses and all values that are read back in steady state fit into a small int of 31 bits.

# Bases (TRM, "Address mapping").
DPORT_WIFI_CLK_EN = const(0x3FF000CC)  # bit 14: clock of the EMAC; other bits are the radio's
DPORT_CORE_RST_EN = const(0x3FF000D0)  # bit 7: reset of the EMAC
DPORT_CLK_EMAC = const(0x4000)
DPORT_RST_EMAC = const(0x80)
EMAC_DMA = const(0x3FF69000)
EMAC_EXT = const(0x3FF69800)
EMAC_MAC = const(0x3FF6A000)

# DMA block, offsets.
BUSMODE = const(0x00)
TXPOLL = const(0x04)
RXPOLL = const(0x08)
RXBASE = const(0x0C)
TXBASE = const(0x10)
STATUS = const(0x14)
OPMODE = const(0x18)
INTEN = const(0x1C)
MISSED = const(0x20)
HWFEAT = const(0x58)

BUSMODE_SWR = const(1)
BUSMODE_ATDS = const(0x80)
# Mixed and address-aligned bursts of 32 (PBL; RPBL, which says nothing while USP is 0, keeps its
# reset value), as ESP-IDF ends up with (emac_hal.c, emac_hal_init_dma_default). ATDS comes with
# the layout.
BUSMODE_DEFAULT = const(0x06022000)

OPMODE_SR = const(0x2)
OPMODE_ST = const(0x2000)
OPMODE_FTF = const(0x100000)
OPMODE_STORE_FORWARD = const(0x02200000)  # RSF and TSF: a frame is whole before it goes on

STATUS_TPS = const(0x2)
STATUS_TJT = const(0x8)
STATUS_OVF = const(0x10)
STATUS_UNF = const(0x20)
STATUS_RU = const(0x80)
STATUS_RPS = const(0x100)
STATUS_RWT = const(0x200)
STATUS_FBI = const(0x2000)
STATUS_ALL = const(0xFFFFFFFF)

HWFEAT_HASH = const(0x10)

# EXT block, offsets: Espressif's clock and interface selection.
EX_CLKOUT_CONF = const(0x00)
EX_OSCCLK_CONF = const(0x04)
EX_CLK_CTRL = const(0x08)
EX_PHYINF_CONF = const(0x0C)
EX_PD_SEL = const(0x10)
EX_DATE = const(0xFC)

# MAC block, offsets.
CONFIG = const(0x00)
FRAMEFILTER = const(0x04)
HASHHIGH = const(0x08)
HASHLOW = const(0x0C)
GMIIADDR = const(0x10)
GMIIDATA = const(0x14)
FLOWCTRL = const(0x18)
VERSION = const(0x20)
DEBUG = const(0x24)
INTMASK = const(0x3C)
ADDR0HIGH = const(0x40)
ADDR0LOW = const(0x44)

CONFIG_RE = const(0x4)
CONFIG_TE = const(0x8)
CONFIG_DM = const(0x800)
CONFIG_LM = const(0x1000)
CONFIG_FES = const(0x4000)
CONFIG_PS = const(0x8000)  # always: the port is a 10/100 one

FILTER_PR = const(0x1)
FILTER_HMC = const(0x4)
FILTER_PM = const(0x10)
FILTERS = const(8)  # addresses beside the station's own that the core compares

# Pause for 0x1648 slots, threshold 28 slots, both ways (emac_hal.c, emac_hal_enable_flow_ctrl).
FLOWCTRL_PAUSE = const(0x16480016)

DEBUG_RX_READ = const(0x60)  # the receive FIFO is being copied to memory
DEBUG_TX_FRAME = const(0x60000)  # a frame is on its way out
DEBUG_TX_PAUSED = const(0x80000)

ADDRHIGH_AE = const(0x80000000)
INTMASK_ALL = const(0xFFFFFFFF)
