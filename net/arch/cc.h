/* SPDX-License-Identifier: MIT */
/* What lwIP asks of the compiler and the system. */
#ifndef TERN_NET_ARCH_CC_H
#define TERN_NET_ARCH_CC_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/types.h"

#define LWIP_NO_INTTYPES_H 1
#define LWIP_NO_CTYPE_H	   1
#define LWIP_NO_UNISTD_H   1
#ifndef SSIZE_MAX
#define SSIZE_MAX INT64_MAX
#endif

#define U8_F  "u"
#define S8_F  "d"
#define X8_F  "02x"
#define U16_F "u"
#define S16_F "d"
#define X16_F "x"
#define U32_F "u"
#define S32_F "d"
#define X32_F "x"
#define SZT_F "zu"

#ifndef BYTE_ORDER
#define BYTE_ORDER LITTLE_ENDIAN
#endif
#define LWIP_DONT_PROVIDE_BYTEORDER_FUNCTIONS
#define lwip_htons(x)		((u16_t)__builtin_bswap16(x))
#define lwip_htonl(x)		((u32_t)__builtin_bswap32(x))
#define htons(x)		lwip_htons(x)
#define ntohs(x)		lwip_htons(x)
#define htonl(x)		lwip_htonl(x)
#define ntohl(x)		lwip_htonl(x)
#define MEMCPY(dst, src, len)	__builtin_memcpy(dst, src, len)
#define SMEMCPY(dst, src, len)	__builtin_memcpy(dst, src, len)
#define PACK_STRUCT_STRUCT	__attribute__((packed))
#define LWIP_PLATFORM_DIAG(x)	net_diag x
#define LWIP_PLATFORM_ASSERT(x) net_assert_failed(__FILE__, __LINE__, x)
#define LWIP_RAND()		net_random()

/* net/core.c. Context: NET_CORE held, but for net_random() and net_diag(). */
void net_assert_core(void);
/* A broken assertion of lwIP: a BUG, but for the few that a peer can break at will. */
void net_assert_failed(const char *file, int line, const char *what);
void net_diag(const char *fmt, ...) __printf(1, 2);
uint32_t net_random(void);
void *net_mem_alloc(size_t size);
void *net_mem_calloc(size_t n, size_t size);
void net_mem_free(void *p);
/* RFC 6528: the initial sequence number is a keyed hash of the connection plus a clock. */
uint32_t net_tcp_isn(const void *local_ip, size_t ip_size, uint16_t local_port,
		     const void *remote_ip, uint16_t remote_port);

/* net/route.c: the interface that leads there, or NULL. NET_CORE held. */
struct netif;
struct ip4_addr;
struct netif *net_route(const struct ip4_addr *to);

/* net/interface.c: looks at each IP packet before lwIP does; 0: lwIP goes on with it, else it is freed. NET_CORE held. */
struct netif;
struct pbuf;
int net_see_packet(struct pbuf *p, struct netif *in);
/* net/timewait.c: a packet that lwIP will get. NET_CORE held. */
void net_see_time_wait(struct pbuf *p, struct netif *in);
/* A segment for a connection, its header in host order. */
struct tcp_pcb;
struct tcp_hdr;
int net_tcp_seen(struct tcp_pcb *pcb, const struct tcp_hdr *hdr, const struct pbuf *p);
/* isn; or a number above all that the connection sent whose TIME_WAIT the packet under way has ended, if this one is
 * between the same ends. remote_ip: an ip_addr_t. NET_CORE held. */
uint32_t net_isn_above_old(uint32_t isn, const void *remote_ip, uint16_t local_port,
			   uint16_t remote_port);

/* net/checksum.c: the Internet checksum's sum (not inverted), as lwIP wants it: of bytes in memory order. */
uint16_t net_checksum(const void *p, int len);
uint16_t net_checksum_copy(void *dst, const void *src, uint16_t len);

#endif
