// A firmware's Wi-Fi without Wi-Fi: the private functions of ESP-IDF that link/wlan calls, with an
// account of who owns which received frame, for MicroPython on QEMU. What stands for the radio are
// the functions fake_...(), which the tests call by their addresses, too.

#include <string.h>

#include "genhdr/mpversion.h"
#include "py/mphal.h"
#include "py/runtime.h"

#include "esp_netif.h"
#include "esp_private/wifi.h"

#define BUFFERS (32)
#define BUFFER_SIZE (1600)

struct {
    uint32_t given;    // frames handed to a callback
    uint32_t freed;    // frames given back
    uint32_t wrong;    // given back twice, or never handed over
    uint32_t starved;  // lost, for every buffer was handed over
    uint32_t lwip;     // frames that went to lwIP
    uint32_t nobody;   // frames without a callback
    uint32_t sent;
    uint32_t length;   // of the last one sent
    uint32_t silenced; // the netif that was taken down last
    uint32_t tx_error; // what the next to send gets
    uint32_t calls;    // of registrations
    uint32_t bad;      // what a callback returned that was not 0
} fake_state;

uint8_t fake_sent[BUFFER_SIZE];

static struct {
    uint8_t data[BUFFER_SIZE];
    bool handed;
} buffers[BUFFERS];

static wifi_rxcb_t callbacks[2];
static uint32_t heap[16384];
static size_t heap_used;
static int netif;

esp_err_t esp_wifi_internal_reg_rxcb(wifi_interface_t ifx, wifi_rxcb_t fn) {
    fake_state.calls += 1;
    if (ifx > WIFI_IF_AP) {
        return 0x3004;
    }
    callbacks[ifx] = fn;
    return ESP_OK;
}

void esp_wifi_internal_free_rx_buffer(void *eb) {
    for (int i = 0; i < BUFFERS; i++) {
        if (eb == &buffers[i].handed) {
            if (buffers[i].handed) {
                buffers[i].handed = false;
                fake_state.freed += 1;
                return;
            }
            break;
        }
    }
    fake_state.wrong += 1;
}

int esp_wifi_internal_tx(wifi_interface_t ifx, void *buffer, uint16_t len) {
    if (fake_state.tx_error) {
        return fake_state.tx_error;
    }
    if (ifx > WIFI_IF_AP || len > BUFFER_SIZE) {
        return 0x102;
    }
    memcpy(fake_sent, buffer, len);
    fake_state.length = len;
    fake_state.sent += 1;
    return ESP_OK;
}

static esp_err_t lwip(void *buffer, uint16_t len, void *eb) {
    fake_state.lwip += 1;
    esp_wifi_internal_free_rx_buffer(eb);
    return ESP_OK;
}

// What STA_CONNECTED does: lwIP has the frames.
void fake_connected(int ifx) {
    callbacks[ifx] = lwip;
    fake_state.silenced = 0;
}

// A frame comes, on its way through a few frames of the C stack; times: so often.
void fake_receive(int ifx, const uint8_t *data, uint32_t len, uint32_t times) {
    while (times--) {
        int i = 0;
        while (i < BUFFERS && buffers[i].handed) {
            i += 1;
        }
        if (i == BUFFERS) {
            fake_state.starved += 1;
        } else if (callbacks[ifx] == NULL) {
            fake_state.nobody += 1;
        } else {
            memcpy(buffers[i].data, data, len < BUFFER_SIZE ? len : BUFFER_SIZE);
            buffers[i].handed = true;
            fake_state.given += 1;
            if (callbacks[ifx](buffers[i].data, len, &buffers[i].handed) != ESP_OK) {
                fake_state.bad += 1;
            }
        }
    }
}

void *heap_caps_malloc(size_t size, uint32_t caps) {
    size_t words = (size + 3) / 4;
    if (caps == 0 || words > MP_ARRAY_SIZE(heap) - heap_used) {
        return NULL;
    }
    void *p = &heap[heap_used];
    heap_used += words;
    memset(p, 0xA5, size);
    return p;
}

void heap_caps_free(void *p) {
}

uint32_t esp_get_free_heap_size(void) {
    return 4 * (MP_ARRAY_SIZE(heap) - heap_used);
}

esp_netif_t *esp_netif_get_handle_from_ifkey(const char *key) {
    return strcmp(key, "WIFI_STA_DEF") == 0 || strcmp(key, "WIFI_AP_DEF") == 0
        ? (esp_netif_t *)&netif : NULL;
}

void esp_netif_action_disconnected(void *n, esp_event_base_t base, int32_t id, void *data) {
    fake_state.silenced = (uint32_t)n;
}

// esp_app_desc_t. Its SHA-256 is written into the image afterwards.
const struct {
    uint32_t magic, secure_version, reserved[2];
    char version[32], project[32], time[16], date[16], idf[32];
    uint8_t sha256[32];
    uint32_t more[20];
} esp_app_desc __attribute__((section(".flash.appdesc"), used)) = {
    .magic = 0xABCD5432, .version = MICROPY_GIT_TAG, .project = "viperip-test", .idf = "none",
};

// MicroPython's port for QEMU has no clock of its own: mtime of the machine "virt", 10 MHz.
static uint64_t mtime(void) {
    volatile uint32_t *at = (volatile uint32_t *)0x0200BFF8;
    uint32_t high, low;
    do {
        high = at[1];
        low = at[0];
    } while (high != at[1]);
    return (uint64_t)high << 32 | low;
}

mp_uint_t mp_hal_ticks_us(void) {
    return mtime() / 10;
}

mp_uint_t mp_hal_ticks_ms(void) {
    return mtime() / 10000;
}

mp_uint_t mp_hal_ticks_cpu(void) {
    return mtime();
}

void mp_hal_delay_us(mp_uint_t us) {
    uint64_t end = mtime() + 10 * (uint64_t)us;
    while (mtime() < end) {
    }
}

void mp_hal_delay_ms(mp_uint_t ms) {
    mp_hal_delay_us(1000 * ms);
}

// The linker drops what nothing refers to: a module refers to it.
static const void *const kept[] = {
    &fake_state, fake_sent, fake_connected, fake_receive, heap_caps_malloc, heap_caps_free,
    esp_get_free_heap_size, &esp_app_desc, esp_wifi_internal_tx,
};

static mp_obj_t fake_wifi_kept(void) {
    return mp_obj_new_int_from_uint((mp_uint_t)*(const void *const volatile *)kept);
}
static MP_DEFINE_CONST_FUN_OBJ_0(kept_obj, fake_wifi_kept);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_fake_wifi) },
    { MP_ROM_QSTR(MP_QSTR_kept), MP_ROM_PTR(&kept_obj) },
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t fake_wifi_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&globals,
};

MP_REGISTER_MODULE(MP_QSTR_fake_wifi, fake_wifi_module);
