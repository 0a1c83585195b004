// Ethernet frames from the Wi-Fi of ESP-IDF for viperip, as a user C module of MicroPython. It does
// in C what link/wlan does with machine code of its own on firmware as it comes; the Python on top,
// viperip.link.wlan.wlan.WLAN, is the same and finds this module by itself.
//
// The callback runs in the Wi-Fi task, which is no thread of MicroPython's: it touches neither heap
// nor interpreter. It owns head, dropped and late, the interpreter everything else. All of this is
// static, so it outlives a soft reset, and with it the callback.

#include <string.h>

#include "py/mpthread.h"
#include "py/runtime.h"

#include "esp_netif.h"
#include "esp_private/wifi.h"

// The firmware has 32 buffers or so for all: few may wait here. A power of two.
#define SLOTS (16)
#define ETHERNET_HEADER (14)

typedef struct {
    void *buffer;
    void *eb;
    uint16_t len;
} slot_t;

typedef struct {
    slot_t slot[SLOTS];
    uint32_t head;    // frames that came in, modulo 2**32
    uint32_t tail;    // frames that left
    uint32_t dropped; // given back by the callback: no slot was free
    uint32_t late;    // given back by the callback: the ring is closed
    uint32_t drained; // given back unread by close() and open()
    bool used;        // opened once
    bool open;        // somebody reads
} ring_t;

static ring_t rings[2];

static uint32_t acquire(uint32_t *word) {
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void release(uint32_t *word, uint32_t value) {
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static esp_err_t receive(ring_t *r, void *buffer, uint16_t len, void *eb) {
    uint32_t head = r->head;
    if (!__atomic_load_n(&r->open, __ATOMIC_ACQUIRE)) {
        r->late += 1;
    } else if (head - acquire(&r->tail) >= SLOTS) {
        r->dropped += 1;
    } else {
        slot_t *slot = &r->slot[head % SLOTS];
        slot->buffer = buffer;
        slot->len = len;
        slot->eb = eb;
        release(&r->head, head + 1);
        return ESP_OK;
    }
    esp_wifi_internal_free_rx_buffer(eb);
    return ESP_OK;
}

static esp_err_t receive_sta(void *buffer, uint16_t len, void *eb) {
    return receive(&rings[WIFI_IF_STA], buffer, len, eb);
}

static esp_err_t receive_ap(void *buffer, uint16_t len, void *eb) {
    return receive(&rings[WIFI_IF_AP], buffer, len, eb);
}

static wifi_interface_t interface_of(mp_obj_t obj) {
    mp_int_t i = mp_obj_get_int(obj);
    if (i != WIFI_IF_STA && i != WIFI_IF_AP) {
        mp_raise_ValueError(MP_ERROR_TEXT("interface: 0 or 1"));
    }
    return (wifi_interface_t)i;
}

static void drain(ring_t *r) {
    while (acquire(&r->head) != r->tail) {
        esp_wifi_internal_free_rx_buffer(r->slot[r->tail % SLOTS].eb);
        release(&r->tail, r->tail + 1);
        r->drained += 1;
    }
}

static esp_err_t close_ring(wifi_interface_t i) {
    __atomic_store_n(&rings[i].open, false, __ATOMIC_RELEASE);
    esp_err_t error = esp_wifi_internal_reg_rxcb(i, NULL);
    drain(&rings[i]);
    return error;
}

// open(interface) -> whether an earlier program had it open; what that has left is given back.
static mp_obj_t viperip_wlan_open(mp_obj_t interface) {
    wifi_interface_t i = interface_of(interface);
    bool used = rings[i].used;
    rings[i].used = true;
    if (used) {
        close_ring(i);
    }
    return mp_obj_new_bool(used);
}
static MP_DEFINE_CONST_FUN_OBJ_1(open_obj, viperip_wlan_open);

// attach(interface) -> esp_err_t. Frames come here from now on; may be repeated.
static mp_obj_t viperip_wlan_attach(mp_obj_t interface) {
    wifi_interface_t i = interface_of(interface);
    __atomic_store_n(&rings[i].open, true, __ATOMIC_RELEASE);
    wifi_rxcb_t callback = i == WIFI_IF_STA ? receive_sta : receive_ap;
    return MP_OBJ_NEW_SMALL_INT(esp_wifi_internal_reg_rxcb(i, callback));
}
static MP_DEFINE_CONST_FUN_OBJ_1(attach_obj, viperip_wlan_attach);

// close(interface) -> esp_err_t. No frame comes here any more; those that wait are given back.
static mp_obj_t viperip_wlan_close(mp_obj_t interface) {
    return MP_OBJ_NEW_SMALL_INT(close_ring(interface_of(interface)));
}
static MP_DEFINE_CONST_FUN_OBJ_1(close_obj, viperip_wlan_close);

// silence(interface) -> esp_err_t. Takes lwIP's interface down.
static mp_obj_t viperip_wlan_silence(mp_obj_t interface) {
    bool station = interface_of(interface) == WIFI_IF_STA;
    esp_netif_t *netif = esp_netif_get_handle_from_ifkey(station ? "WIFI_STA_DEF" : "WIFI_AP_DEF");
    if (netif == NULL) {
        return MP_OBJ_NEW_SMALL_INT(ESP_ERR_INVALID_STATE);
    }
    esp_netif_action_disconnected(netif, NULL, 0, NULL);
    return MP_OBJ_NEW_SMALL_INT(ESP_OK);
}
static MP_DEFINE_CONST_FUN_OBJ_1(silence_obj, viperip_wlan_silence);

// take(interface, buffer, offset) -> the length of the oldest frame, copied to buffer[offset:];
// 0: there is none; -1: it is shorter than an Ethernet header or has no room there, and is gone.
static mp_obj_t viperip_wlan_take(mp_obj_t interface, mp_obj_t buffer, mp_obj_t offset) {
    ring_t *r = &rings[interface_of(interface)];
    mp_buffer_info_t info;
    mp_get_buffer_raise(buffer, &info, MP_BUFFER_WRITE);
    mp_int_t at = mp_obj_get_int(offset);
    if (at < 0 || (size_t)at > info.len) {
        mp_raise_ValueError(MP_ERROR_TEXT("offset"));
    }
    if (acquire(&r->head) == r->tail) {
        return MP_OBJ_NEW_SMALL_INT(0);
    }
    slot_t *slot = &r->slot[r->tail % SLOTS];
    mp_int_t n = slot->len;
    if (n < ETHERNET_HEADER || (size_t)n > info.len - at) {
        n = -1;
    } else {
        memcpy((uint8_t *)info.buf + at, slot->buffer, n);
    }
    esp_wifi_internal_free_rx_buffer(slot->eb);
    release(&r->tail, r->tail + 1);
    return MP_OBJ_NEW_SMALL_INT(n);
}
static MP_DEFINE_CONST_FUN_OBJ_3(take_obj, viperip_wlan_take);

// send(interface, buffer, offset, n) -> esp_err_t. The frame is copied.
static mp_obj_t viperip_wlan_send(size_t n_args, const mp_obj_t *args) {
    wifi_interface_t i = interface_of(args[0]);
    mp_buffer_info_t info;
    mp_get_buffer_raise(args[1], &info, MP_BUFFER_READ);
    mp_int_t at = mp_obj_get_int(args[2]);
    mp_int_t n = mp_obj_get_int(args[3]);
    if (at < 0 || n < 0 || n > UINT16_MAX || (size_t)at > info.len || (size_t)n > info.len - at) {
        mp_raise_ValueError(MP_ERROR_TEXT("outside of the buffer"));
    }
    MP_THREAD_GIL_EXIT();
    int error = esp_wifi_internal_tx(i, (uint8_t *)info.buf + at, n);
    MP_THREAD_GIL_ENTER();
    return MP_OBJ_NEW_SMALL_INT(error);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(send_obj, 4, 4, viperip_wlan_send);

// counts(interface) -> frames that (came in, found the ring full, came too late, were drained).
static mp_obj_t viperip_wlan_counts(mp_obj_t interface) {
    ring_t *r = &rings[interface_of(interface)];
    mp_obj_t counts[] = {
        mp_obj_new_int_from_uint(acquire(&r->head)),
        mp_obj_new_int_from_uint(acquire(&r->dropped)),
        mp_obj_new_int_from_uint(acquire(&r->late)),
        mp_obj_new_int_from_uint(r->drained),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(counts), counts);
}
static MP_DEFINE_CONST_FUN_OBJ_1(counts_obj, viperip_wlan_counts);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__viperip_wlan) },
    { MP_ROM_QSTR(MP_QSTR_open), MP_ROM_PTR(&open_obj) },
    { MP_ROM_QSTR(MP_QSTR_attach), MP_ROM_PTR(&attach_obj) },
    { MP_ROM_QSTR(MP_QSTR_close), MP_ROM_PTR(&close_obj) },
    { MP_ROM_QSTR(MP_QSTR_silence), MP_ROM_PTR(&silence_obj) },
    { MP_ROM_QSTR(MP_QSTR_take), MP_ROM_PTR(&take_obj) },
    { MP_ROM_QSTR(MP_QSTR_send), MP_ROM_PTR(&send_obj) },
    { MP_ROM_QSTR(MP_QSTR_counts), MP_ROM_PTR(&counts_obj) },
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t viperip_wlan_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&globals,
};

MP_REGISTER_MODULE(MP_QSTR__viperip_wlan, viperip_wlan_module);
