# For ports that are built by make; whoever does so brings the headers of ESP-IDF.
SRC_USERMOD_C += $(USERMOD_DIR)/viperip_wlan.c
