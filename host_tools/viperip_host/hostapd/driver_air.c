/* A driver for hostapd whose air is UDP on loopback: one datagram is one 802.11 MPDU without FCS.
 *
 * It takes the place of driver_none.c in the unpacked source. hostapd decides everything; this
 * beacons, passes management frames and EAPOL, encrypts and decrypts data frames (CCMP, with
 * hostapd's own AES-CCM) and bridges them to a TAP. All MPDUs go to a capture, link type 105.
 *
 *     driver=none
 *     driver_params=LOCALPORT:REMOTEPORT:TAP:CAPTURE
 */
#include "includes.h"
#include <fcntl.h>
#include <sys/ioctl.h>
#include <net/if.h>
#include <linux/if_tun.h>

#include "common.h"
#include "eloop.h"
#include "common/ieee802_11_defs.h"
#include "crypto/aes_wrap.h"
#include "driver.h"
#include "../crypto/aes-ccm.c"

#define BUFFER 2400
#define STATIONS 4

struct key {
	int set, id;
	u8 tk[16];
	u64 tx, rx;
};

struct station {
	u8 addr[ETH_ALEN];
	int used, authorized;
	struct key key;
};

struct air {
	struct hostapd_data *hapd;
	int sock, tap;
	FILE *capture;
	u8 own[ETH_ALEN];
	u16 seq;
	u8 beacon[BUFFER];
	size_t head_len, beacon_len;
	int interval;
	struct station stations[STATIONS];
	struct key groups[4];
	int group;
};

static struct air the_air;

static struct station * find(struct air *a, const u8 *addr, int make)
{
	int i;

	for (i = 0; i < STATIONS; i++)
		if (a->stations[i].used && os_memcmp(a->stations[i].addr, addr, ETH_ALEN) == 0)
			return &a->stations[i];
	for (i = 0; make && i < STATIONS; i++)
		if (!a->stations[i].used) {
			os_memset(&a->stations[i], 0, sizeof(a->stations[i]));
			os_memcpy(a->stations[i].addr, addr, ETH_ALEN);
			a->stations[i].used = 1;
			return &a->stations[i];
		}
	return NULL;
}

static void capture(struct air *a, const u8 *mpdu, size_t len)
{
	struct timeval now;
	u32 head[4];

	if (!a->capture)
		return;
	gettimeofday(&now, NULL);
	head[0] = now.tv_sec;
	head[1] = now.tv_usec;
	head[2] = head[3] = len;
	fwrite(head, sizeof(head), 1, a->capture);
	fwrite(mpdu, len, 1, a->capture);
	fflush(a->capture);
}

static void put(struct air *a, u8 *mpdu, size_t len)
{
	a->seq = (a->seq + 1) & 0xfff;
	WPA_PUT_LE16(mpdu + 22, a->seq << 4);
	capture(a, mpdu, len);
	if (send(a->sock, mpdu, len, MSG_DONTWAIT) < 0)
		wpa_printf(MSG_DEBUG, "air: send: %s", strerror(errno));
}

/* Nonce and AAD (IEEE 802.11-2016 12.5.3.3), of frames with three addresses. */
static size_t ccmp_parts(const u8 *m, int qos, u64 pn, u8 *nonce, u8 *aad)
{
	int i;

	nonce[0] = qos ? m[24] & 15 : 0;
	os_memcpy(nonce + 1, m + 10, ETH_ALEN);
	for (i = 0; i < 6; i++)
		nonce[7 + i] = pn >> (40 - 8 * i);
	aad[0] = m[0] & 0x8f;
	aad[1] = (m[1] & 0xc7) | 0x40;
	os_memcpy(aad + 2, m + 4, 18);
	aad[20] = m[22] & 0x0f;
	aad[21] = 0;
	aad[22] = nonce[0];
	aad[23] = 0;
	return qos ? 24 : 22;
}

static void send_data(struct air *a, const u8 *da, const u8 *sa, const u8 *type,
		      const u8 *payload, size_t len, struct key *key)
{
	u8 m[BUFFER], body[BUFFER], nonce[13], aad[24];
	size_t aad_len;

	if (len > 1600)
		return;
	os_memset(m, 0, 24);
	m[0] = 0x08;
	m[1] = 0x02;
	os_memcpy(m + 4, da, ETH_ALEN);
	os_memcpy(m + 10, a->own, ETH_ALEN);
	os_memcpy(m + 16, sa, ETH_ALEN);
	os_memcpy(body, "\xaa\xaa\x03\0\0\0", 6);
	os_memcpy(body + 6, type, 2);
	os_memcpy(body + 8, payload, len);
	len += 8;
	if (!key) {
		os_memcpy(m + 24, body, len);
		put(a, m, 24 + len);
		return;
	}
	m[1] |= 0x40;
	key->tx++;
	m[24] = key->tx;
	m[25] = key->tx >> 8;
	m[26] = 0;
	m[27] = 0x20 | key->id << 6;
	WPA_PUT_LE32(m + 28, (u32) (key->tx >> 16));
	aad_len = ccmp_parts(m, 0, key->tx, nonce, aad);
	if (aes_ccm_ae(key->tk, 16, nonce, 8, body, len, aad, aad_len, m + 32, m + 32 + len) == 0)
		put(a, m, 32 + len + 8);
}

static void from_tap(int sock, void *ctx, void *unused)
{
	struct air *a = ctx;
	u8 f[BUFFER];
	ssize_t n = read(a->tap, f, sizeof(f));
	struct station *s;
	struct key *key;

	if (n < 14)
		return;
	if (f[0] & 1) {
		key = &a->groups[a->group];
	} else {
		s = find(a, f, 0);
		if (!s || !s->authorized)
			return;
		key = &s->key;
	}
	if (key->set)
		send_data(a, f, f + 6, f + 12, f + 14, n - 14, key);
}

static void to_tap(struct air *a, const u8 *da, const u8 *sa, const u8 *type_on, size_t len)
{
	u8 f[BUFFER];

	os_memcpy(f, da, ETH_ALEN);
	os_memcpy(f + 6, sa, ETH_ALEN);
	os_memcpy(f + 12, type_on, len);
	if (write(a->tap, f, 12 + len) < 0)
		wpa_printf(MSG_DEBUG, "air: tap: %s", strerror(errno));
}

static void data_in(struct air *a, u8 *m, size_t len)
{
	struct station *s = find(a, m + 10, 0);
	u8 plain[BUFFER], nonce[13], aad[24], *body;
	size_t aad_len;
	u64 pn;

	if (!s || os_memcmp(m + 4, a->own, ETH_ALEN) != 0 || (m[1] & 3) != 1 || (m[0] & 0xc0))
		return;
	if (m[1] & 0x40) {
		if (!s->key.set || len < 24 + 16 + 8)
			return;
		pn = m[24] | m[25] << 8 | (u64) WPA_GET_LE32(m + 28) << 16;
		aad_len = ccmp_parts(m, 0, pn, nonce, aad);
		len -= 24 + 16;
		if (aes_ccm_ad(s->key.tk, 16, nonce, 8, m + 32, len, aad, aad_len, m + 32 + len,
			       plain) < 0) {
			wpa_printf(MSG_INFO, "air: BAD MIC");
			return;
		}
		if (pn <= s->key.rx) {
			wpa_printf(MSG_INFO, "air: PN USED AGAIN");
			return;
		}
		s->key.rx = pn;
		body = plain;
	} else {
		body = m + 24;
		len -= 24;
		if (len < 8 || WPA_GET_BE16(body + 6) != ETH_P_PAE) {
			wpa_printf(MSG_INFO, "air: DATA IN THE CLEAR");
			return;
		}
	}
	if (WPA_GET_BE16(body + 6) == ETH_P_PAE)
		drv_event_eapol_rx(a->hapd, s->addr, body + 8, len - 8);
	else if (s->authorized)
		to_tap(a, m + 16, s->addr, body + 6, len - 6);
}

static void from_air(int sock, void *ctx, void *unused)
{
	struct air *a = ctx;
	u8 m[BUFFER];
	ssize_t n = recv(a->sock, m, sizeof(m), 0);
	union wpa_event_data event;

	if (n < 24)
		return;
	capture(a, m, n);
	if ((m[0] & 0x0c) == 0x08) {
		data_in(a, m, n);
	} else if ((m[0] & 0x0c) == 0) {
		os_memset(&event, 0, sizeof(event));
		event.rx_mgmt.frame = m;
		event.rx_mgmt.frame_len = n;
		wpa_supplicant_event(a->hapd, EVENT_RX_MGMT, &event);
	}
}

static void beat(void *ctx, void *unused)
{
	struct air *a = ctx;

	if (a->beacon_len) {
		WPA_PUT_LE32(a->beacon + 24, 0);
		put(a, a->beacon, a->beacon_len);
	}
	eloop_register_timeout(0, a->interval * 1024, beat, a, NULL);
}

static int open_tap(const char *name)
{
	struct ifreq ifr;
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);

	os_memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_flags = IFF_TAP | IFF_NO_PI;
	os_strlcpy(ifr.ifr_name, name, IFNAMSIZ);
	if (fd >= 0 && ioctl(fd, TUNSETIFF, &ifr) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int open_sock(int local, int remote)
{
	struct sockaddr_in addr;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	os_memset(&addr, 0, sizeof(addr));
	addr.sin_family = AF_INET;
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	addr.sin_port = htons(local);
	if (bind(fd, (struct sockaddr *) &addr, sizeof(addr)) < 0)
		return -1;
	addr.sin_port = htons(remote);
	if (connect(fd, (struct sockaddr *) &addr, sizeof(addr)) < 0)
		return -1;
	return fd;
}

static void * air_init(struct hostapd_data *hapd, struct wpa_init_params *params)
{
	static const u8 head[24] = { 0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0,
				     0xff, 0xff, 0, 0, 105, 0, 0, 0 };
	struct air *a = &the_air;
	char tap[IFNAMSIZ], file[256];
	int local, remote;

	if (!params->driver_params ||
	    sscanf(params->driver_params, "%d:%d:%15[^:]:%255s", &local, &remote, tap, file) != 4) {
		wpa_printf(MSG_ERROR, "air: driver_params=LOCALPORT:REMOTEPORT:TAP:CAPTURE");
		return NULL;
	}
	a->hapd = hapd;
	a->interval = 100;
	os_memcpy(a->own, "\x02\x00\x00\x00\x00\xa9", ETH_ALEN);
	os_memcpy(params->own_addr, a->own, ETH_ALEN);
	a->sock = open_sock(local, remote);
	a->tap = open_tap(tap);
	a->capture = fopen(file, "wb");
	if (a->sock < 0 || a->tap < 0 || !a->capture) {
		wpa_printf(MSG_ERROR, "air: no socket, TAP or capture: %s", strerror(errno));
		return NULL;
	}
	fwrite(head, sizeof(head), 1, a->capture);
	eloop_register_read_sock(a->sock, from_air, a, NULL);
	eloop_register_read_sock(a->tap, from_tap, a, NULL);
	eloop_register_timeout(0, 0, beat, a, NULL);
	return a;
}

static void air_deinit(void *priv)
{
	struct air *a = priv;

	eloop_cancel_timeout(beat, a, NULL);
	eloop_unregister_read_sock(a->sock);
	eloop_unregister_read_sock(a->tap);
	close(a->sock);
	close(a->tap);
	fclose(a->capture);
}

static int air_set_ap(void *priv, struct wpa_driver_ap_params *p)
{
	struct air *a = priv;
	/* DTIM count 0, DTIM period 1, nothing buffered. */
	static const u8 tim[] = { WLAN_EID_TIM, 4, 0, 1, 0, 0 };

	if (p->head_len + sizeof(tim) + p->tail_len > sizeof(a->beacon))
		return -1;
	os_memcpy(a->beacon, p->head, p->head_len);
	os_memcpy(a->beacon + p->head_len, tim, sizeof(tim));
	os_memcpy(a->beacon + p->head_len + sizeof(tim), p->tail, p->tail_len);
	a->beacon_len = p->head_len + sizeof(tim) + p->tail_len;
	a->interval = p->beacon_int;
	return 0;
}

static int air_send_mlme(void *priv, const u8 *data, size_t len, int noack, unsigned int freq,
			 const u16 *csa, size_t csa_len, int no_encrypt, unsigned int wait)
{
	struct air *a = priv;
	u8 m[BUFFER];
	union wpa_event_data event;
	u16 fc;

	if (len < 24 || len > sizeof(m))
		return -1;
	os_memcpy(m, data, len);
	put(a, m, len);
	fc = WPA_GET_LE16(m);
	os_memset(&event, 0, sizeof(event));
	event.tx_status.type = WLAN_FC_GET_TYPE(fc);
	event.tx_status.stype = WLAN_FC_GET_STYPE(fc);
	event.tx_status.dst = m + 4;
	event.tx_status.data = m;
	event.tx_status.data_len = len;
	event.tx_status.ack = 1;
	wpa_supplicant_event(a->hapd, EVENT_TX_STATUS, &event);
	return 0;
}

static int air_send_eapol(void *priv, const u8 *addr, const u8 *data, size_t len, int encrypt,
			  const u8 *own, u32 flags)
{
	struct air *a = priv;
	struct station *s = find(a, addr, 0);

	send_data(a, addr, a->own, (const u8 *) "\x88\x8e", data, len,
		  encrypt && s && s->key.set ? &s->key : NULL);
	return 0;
}

static int air_set_key(void *priv, struct wpa_driver_set_key_params *p)
{
	struct air *a = priv;
	struct key *key;
	struct station *s = NULL;

	if (p->addr && !is_broadcast_ether_addr(p->addr)) {
		s = find(a, p->addr, p->alg != WPA_ALG_NONE);
		if (!s)
			return p->alg == WPA_ALG_NONE ? 0 : -1;
		key = &s->key;
	} else if (p->key_idx >= 0 && p->key_idx < 4) {
		key = &a->groups[p->key_idx];
	} else {
		return 0;
	}
	os_memset(key, 0, sizeof(*key));
	if (p->alg == WPA_ALG_NONE)
		return 0;
	if (p->alg != WPA_ALG_CCMP || p->key_len != 16)
		return -1;
	os_memcpy(key->tk, p->key, 16);
	key->set = 1;
	key->id = p->key_idx;
	if (!s && p->set_tx)
		a->group = p->key_idx;
	return 0;
}

static int air_get_seqnum(const char *ifname, void *priv, const u8 *addr, int idx, u8 *seq)
{
	struct air *a = priv;
	int i;

	os_memset(seq, 0, 8);
	for (i = 0; idx >= 0 && idx < 4 && i < 6; i++)
		seq[i] = a->groups[idx].tx >> (8 * i);
	return 0;
}

static int air_sta_add(void *priv, struct hostapd_sta_add_params *p)
{
	return find(priv, p->addr, 1) ? 0 : -1;
}

static int air_sta_remove(void *priv, const u8 *addr)
{
	struct station *s = find(priv, addr, 0);

	if (s)
		s->used = 0;
	return 0;
}

static int air_sta_set_flags(void *priv, const u8 *addr, unsigned int total, unsigned int or,
			     unsigned int and)
{
	struct station *s = find(priv, addr, 0);

	if (s)
		s->authorized = !!(total & WPA_STA_AUTHORIZED);
	return 0;
}

static int air_farewell(struct air *a, const u8 *addr, u8 fc, u16 reason)
{
	u8 m[26];

	os_memset(m, 0, sizeof(m));
	m[0] = fc;
	os_memcpy(m + 4, addr, ETH_ALEN);
	os_memcpy(m + 10, a->own, ETH_ALEN);
	os_memcpy(m + 16, a->own, ETH_ALEN);
	WPA_PUT_LE16(m + 24, reason);
	return air_send_mlme(a, m, sizeof(m), 0, 0, NULL, 0, 1, 0);
}

static int air_sta_deauth(void *priv, const u8 *own, const u8 *addr, u16 reason)
{
	return air_farewell(priv, addr, 0xc0, reason);
}

static int air_sta_disassoc(void *priv, const u8 *own, const u8 *addr, u16 reason)
{
	return air_farewell(priv, addr, 0xa0, reason);
}

const struct wpa_driver_ops wpa_driver_none_ops = {
	.name = "none",
	.desc = "802.11 over UDP on loopback",
	.hapd_init = air_init,
	.hapd_deinit = air_deinit,
	.set_ap = air_set_ap,
	.send_mlme = air_send_mlme,
	.hapd_send_eapol = air_send_eapol,
	.set_key = air_set_key,
	.get_seqnum = air_get_seqnum,
	.sta_add = air_sta_add,
	.sta_remove = air_sta_remove,
	.sta_set_flags = air_sta_set_flags,
	.sta_deauth = air_sta_deauth,
	.sta_disassoc = air_sta_disassoc,
};
