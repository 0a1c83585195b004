// As much of ESP-IDF's headers as firmware/usermod needs, for builds without ESP-IDF.
#pragma once

typedef int esp_err_t;

#define ESP_OK (0)
#define ESP_ERR_NO_MEM (0x101)
#define ESP_ERR_INVALID_STATE (0x103)
