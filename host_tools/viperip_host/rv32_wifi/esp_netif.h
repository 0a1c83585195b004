#pragma once

#include <stdint.h>

#include "esp_err.h"

typedef struct esp_netif_obj esp_netif_t;
typedef const char *esp_event_base_t;

esp_netif_t *esp_netif_get_handle_from_ifkey(const char *key);
void esp_netif_action_disconnected(void *netif, esp_event_base_t base, int32_t id, void *data);
