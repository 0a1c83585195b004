# The bring-up of the ESP32's EMAC, register by register, as the primary sources have it: what
# test_emac_sequence.py holds the driver's accesses against. It is no part of the driver, and
# shares no constant with it.
#
# Sources, by short name:
#   TRM   ESP32 Technical Reference Manual 5.6 (Espressif): the chapters "DPort Registers", "IO_MUX
#         and GPIO Matrix" and 24, "Ethernet Media Access Controller (EMAC)"; registers by their
#         names there
#   LL    ESP-IDF 5.1, components/hal/esp32/include/hal/emac_ll.h
#   HAL   ESP-IDF 5.1, components/hal/emac_hal.c
#   MAC   ESP-IDF 5, components/esp_eth/src/esp_eth_mac_esp.c
#   ETH   ESP-IDF 5, components/esp_eth/src/esp_eth.c
#   PHY   ESP-IDF 5, components/esp_eth/src/esp_eth_phy_802_3.c
#   GATE  ESP-IDF 5, components/hal/esp32/include/hal/clk_gate_ll.h, PERIPH_EMAC_MODULE
#   RTC   ESP-IDF 5, components/esp_hw_support/port/esp32/rtc_clk.c
#   IOM   ESP-IDF 5, components/soc/esp32/include/soc/io_mux_reg.h and gpio_sig_map.h
#   CLK   ESP-IDF 5, components/hal/esp32/include/hal/clk_tree_ll.h
#   LAN   MicroPython, ports/esp32/network_lan.c
#   802.3 IEEE 802.3, clause 22 and annex 28B
#   LAN8720A  its data sheet
#   OWN   the driver's own; the text says why
#
# An access is one of
#   ("w", address, value)           a write
#   ("set", address, bits)          a read, and a write of the same with these bits set
#   ("clear", address, bits)        ... cleared
#   ("field", address, mask, value) ... with this field changed
#   ("poll", address, bits)         reads until these bits are 0
#   ("read", address)               a read, whatever it is
#   ("in", gpio), ("out", gpio, v)  a pin made plain: IO_MUX function 2, no pulls, not the RTC's
#   ("mdio", reg)                   an MDIO read of the PHY; ("mdio", reg, value): a write
#   ("i2c", reg), ("i2c", reg, value)     the same of the APLL, block 0x6D behind its bridge
# Waits are not part of it, and several reads of one register in a row count as one.

DPORT_WIFI_CLK_EN = 0x3FF000CC
DPORT_CORE_RST_EN = 0x3FF000D0
DMA = 0x3FF69000
EXT = 0x3FF69800
MAC = 0x3FF6A000

CLOCK_AND_RESET = (
    ("MAC esp_eth_mac_new_esp32, GATE: the bus clock, bit 14 of a word shared with the radio",
     ("set", DPORT_WIFI_CLK_EN, 0x4000)),
    ("the same: a pulse of reset, bit 7 of a shared word",
     ("set", DPORT_CORE_RST_EN, 0x80), ("w", DPORT_CORE_RST_EN, 0x100)),
    ("OWN: is there an EMAC? TRM EMAC_EX_DATE_REG",
     ("read", EXT + 0xFC)),
)  # fmt: skip

PINS = (
    ("MAC emac_esp32_init_smi_gpio; IOM EMAC_MDC_O_IDX 200: MDC through the matrix, an output",
     ("out", 23, 0), ("out", 18, 0), ("w", 0x3FF44530 + 4 * 23, 200), ("w", 0x3FF4908C, 0x2800)),
    ("the same; IOM EMAC_MDO_O_IDX, EMAC_MDI_I_IDX 201: MDIO, output and input",
     ("w", 0x3FF44530 + 4 * 18, 201), ("w", 0x3FF44130 + 4 * 201, 18 | 0x80),
     ("w", 0x3FF49070, 0x2A00)),
    ("HAL emac_hal_iomux_init_rmii: RXD0 25, RXD1 26, CRS_DV 27 are function 5, inputs",
     ("in", 25), ("w", 0x3FF49024, 0x5A00),
     ("in", 26), ("w", 0x3FF49028, 0x5A00),
     ("in", 27), ("w", 0x3FF4902C, 0x5A00)),
    ("the same: TXD0 19, TX_EN 21, TXD1 22 are function 5, no inputs",
     ("in", 19), ("w", 0x3FF49074, 0x5800),
     ("in", 21), ("w", 0x3FF4907C, 0x5800),
     ("in", 22), ("w", 0x3FF49080, 0x5800)),
)  # fmt: skip

CLOCK_IN = (
    ("LL emac_ll_clock_enable_rmii_input: TRM EMAC_EX_PHYINF_CONF_REG, phy_intf_sel 4 is RMII",
     ("field", EXT + 0x0C, 0xE000, 0x8000)),
    ("the same: TRM EMAC_EX_CLK_CTRL_REG, ext_en, not int_en; OWN: the clocks inside, which IDF "
     "leaves as they are",
     ("field", EXT + 0x08, 0x3B, 0x39)),
    ("the same: TRM EMAC_EX_OSCCLK_CONF_REG, clk_sel is the pin",
     ("set", EXT + 0x04, 0x1000000)),
    ("OWN: power for the MAC's memories, TRM EMAC_PD_SEL_REG",
     ("clear", EXT + 0x10, 3)),
    ("HAL emac_hal_iomux_rmii_clk_input: GPIO0, function 5, an input",
     ("in", 0), ("w", 0x3FF49044, 0x5A00)),
)  # fmt: skip


APLL = (
    ("RTC rtc_clk_xtal_freq_get, and the chip's revision in the eFuses: 40 MHz, 1 or later",
     ("read", 0x3FF480B0), ("read", 0x3FF5A00C)),
    ("RTC rtc_clk_apll_enable: the analogue bus has power, the APLL too",
     ("clear", 0x3FF48000, 0x40000), ("clear", 0x3FF4E044, 0x4000),
     ("field", 0x3FF48030, 0x1800000, 0x1000000)),
    ("MAC emac_config_apll_clock, CLK clk_ll_apll_set_config: 40 MHz * (4 + 6) / (2 * (2 + 2))",
     ("i2c", 7), ("i2c", 7, 6), ("i2c", 9, 0), ("i2c", 8, 0), ("i2c", 5, 0x09), ("i2c", 5, 0x49),
     ("i2c", 4), ("i2c", 4, 2)),
    ("CLK clk_ll_apll_set_calibration, clk_ll_apll_calibration_is_done",
     ("i2c", 0, 0x0F), ("i2c", 0, 0x3F), ("i2c", 0, 0x1F), ("i2c", 3)),
)  # fmt: skip

CLOCK_OUT_17 = (
    ("LL emac_ll_clock_enable_rmii_output: RMII",
     ("field", EXT + 0x0C, 0xE000, 0x8000)),
    ("the same: int_en, not ext_en; OWN: the clocks inside",
     ("field", EXT + 0x08, 0x3B, 0x3A)),
    ("the same: clk_sel is the APLL; divided by nothing",
     ("clear", EXT + 0x04, 0x1000000), ("clear", EXT + 0x00, 0xFF)),
    ("OWN: power for the MAC's memories",
     ("clear", EXT + 0x10, 3)),
    ("HAL emac_hal_iomux_rmii_clk_ouput: EMAC_CLK_OUT_180 is GPIO17, function 5",
     ("in", 17), ("w", 0x3FF49050, 0x5800)),
)  # fmt: skip

RESET = (
    ("OWN: no reset is pending and no DMA runs (MAC resets only what it has stopped)",
     ("read", DMA + 0x00), ("read", DMA + 0x18)),
    ("MAC emac_esp32_init, LL emac_ll_reset: TRM DMABUSMODE_REG, SW_RST clears itself",
     ("w", DMA + 0x00, 1), ("poll", DMA + 0x00, 1)),
)  # fmt: skip

DEFAULTS = (
    ("TRM EMACINTMASK_REG; OWN: every MAC interrupt masked",
     ("w", MAC + 0x3C, 0xFFFFFFFF)),
    ("HAL emac_hal_init_mac_default: 10/100 port, 100 Mbit/s, full duplex; OWN: without IPC",
     ("w", MAC + 0x00, 0xC800)),
    ("the same: broadcasts, and all multicast, TRM EMACFF_REG",
     ("w", MAC + 0x04, 0x10)),
    ("HAL emac_hal_init_dma_default: TRM DMAOPERATION_MODE_REG, flush the transmit FIFO",
     ("set", DMA + 0x18, 0x100000), ("poll", DMA + 0x18, 0x100000)),
    ("the same: RSF, after the flush; OWN: TSF too, a frame is whole before it is sent; not OSF",
     ("w", DMA + 0x18, 0x02200000)),
    ("the same: mixed burst, aligned, 32 beats, eight-word descriptors; RPBL stays 1",
     ("w", DMA + 0x00, 0x06022080)),
    ("HAL emac_hal_set_address: high before low, TRM EMACADDR0HIGH_REG, EMACADDR0LOW_REG",
     ("w", MAC + 0x40, 0x5934), ("w", MAC + 0x44, 0x12C40A24)),
    ("TRM EMACFC_REG: no flow control before it is negotiated",
     ("w", MAC + 0x18, 0)),
    ("OWN: nobody serves an interrupt, TRM DMAIN_EN_REG; IDF enables RIE and NIE",
     ("w", DMA + 0x1C, 0)),
)  # fmt: skip

PHY_INIT = (
    ("PHY esp_eth_phy_802_3_read_oui: registers 2 and 3",
     ("mdio", 2), ("mdio", 3)),
    ("PHY esp_eth_phy_802_3_reset: BMCR reset, until it clears (802.3 22.2.4.1.1)",
     ("mdio", 0, 0x8000), ("mdio", 0), ("mdio", 0), ("mdio", 0)),
    ("802.3 28B: what this end can do; written always",
     ("mdio", 4, 0x01E1)),
    ("PHY esp_eth_phy_802_3_autonego_ctrl: enable, restart",
     ("mdio", 0, 0x1200)),
    ("802.3 22.2.4.2.13: the link bit latches low, read twice",
     ("mdio", 1), ("mdio", 1)),
    ("OWN: is negotiation on? then it has to be complete",
     ("mdio", 0)),
    ("LAN8720A: register 31 shows speed and duplex",
     ("mdio", 31)),
)  # fmt: skip

START = (
    (
        "OWN: no DMA runs, whatever became of an earlier start",
        ("read", DMA + 0x18),
    ),
    ("MAC emac_esp32_set_speed, _set_duplex: CONFIG, while TE and RE are off",
     ("w", MAC + 0x00, 0xC800)),
    ("MAC emac_esp32_set_peer_pause_ability: the partner does not offer it",
     ("w", MAC + 0x18, 0)),
    ("HAL emac_hal_reset_desc_chain: the lists, TRM DMARXBASEADDR_REG, DMATXBASEADDR_REG",
     ("w", DMA + 0x0C, "rx"), ("w", DMA + 0x10, "tx")),
    ("HAL emac_hal_start: every status cleared, TRM DMASTATUS_REG",
     ("w", DMA + 0x14, 0xFFFFFFFF)),
    ("HAL emac_hal_start: the transmitter of the MAC before that of the DMA",
     ("w", MAC + 0x00, 0xC808), ("w", DMA + 0x18, 0x02202000)),
    ("HAL emac_hal_start: the receiver of the DMA, and that of the MAC last",
     ("w", DMA + 0x18, 0x02202002), ("w", MAC + 0x00, 0xC80C)),
    ("OWN: a receive poll demand, TRM DMARXPOLLDEMAND_REG; IDF writes it after every frame",
     ("w", DMA + 0x08, 0)),
)  # fmt: skip

STOP = (
    ("HAL emac_hal_stop: the transmitter of the DMA",
     ("clear", DMA + 0x18, 0x2000)),
    ("the same: until no frame is on its way, TRM EMACDEBUG_REG",
     ("poll", MAC + 0x24, 0x60000)),
    ("the same: receiver and transmitter of the MAC (there one after the other)",
     ("clear", MAC + 0x00, 0xC)),
    ("the same: until no frame is copied",
     ("poll", MAC + 0x24, 0x60)),
    ("the same: the receiver of the DMA",
     ("clear", DMA + 0x18, 0x2)),
    ("the same: the transmit FIFO is flushed",
     ("set", DMA + 0x18, 0x100000), ("poll", DMA + 0x18, 0x100000)),
)  # fmt: skip

BARE = CLOCK_AND_RESET + PINS + CLOCK_IN + RESET + DEFAULTS + PHY_INIT + START
BARE_17 = CLOCK_AND_RESET + PINS + APLL + CLOCK_OUT_17 + RESET + DEFAULTS + PHY_INIT + START
# The firmware's network.LAN has done the rest: LAN, and MAC esp_eth_mac_new_esp32, ETH
# esp_eth_driver_install.
INHERIT = CLOCK_AND_RESET[2:] + RESET + DEFAULTS + PHY_INIT + START
