/* SPDX-License-Identifier: MIT */
/* lwIP as tern uses it: one core behind NET_CORE, callback API, memory from the kernel's heap (docs/08-network.md). */
#ifndef TERN_NET_LWIPOPTS_H
#define TERN_NET_LWIPOPTS_H

/* --- no threads of its own: net/core.c owns the lock and the timers --- */
#define NO_SYS		     1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_SOCKET	     0
#define LWIP_NETCONN	     0
#define LWIP_TIMERS	     1
#ifdef DEBUG
#define LWIP_ASSERT_CORE_LOCKED() net_assert_core()
#endif

#define LWIP_HOOK_FILENAME "net/lwip_hooks.h"

/* --- memory: every object is made, referenced and freed under NET_CORE --- */
#define MEM_CUSTOM_ALLOCATOR 1
#define MEM_CUSTOM_MALLOC    net_mem_alloc
#define MEM_CUSTOM_CALLOC    net_mem_calloc
#define MEM_CUSTOM_FREE	     net_mem_free
#define MEMP_MEM_MALLOC	     1
#define MEM_ALIGNMENT	     8
#define LWIP_PBUF_REF_T	     u32_t
#define PBUF_POOL_BUFSIZE    1664
/* room for the virtio header, so that a segment goes out in one descriptor */
#define PBUF_LINK_ENCAPSULATION_HLEN 12

/* --- link --- */
#define LWIP_ARP		       1
#define ARP_TABLE_SIZE		       32
#define ARP_QUEUEING		       1
#define ARP_QUEUE_LEN		       16
#define LWIP_NETIF_HOSTNAME	       1
#define LWIP_NETIF_EXT_STATUS_CALLBACK 1
#define LWIP_NETIF_LOOPBACK	       1
#define LWIP_HAVE_LOOPIF	       1
#define LWIP_LOOPBACK_MAX_PBUFS	       1024

/* --- internet --- */
#define LWIP_IPV4		       1
#define IP_DEFAULT_TTL		       64
#define LWIP_IPV6		       1
#define IPV6_FRAG_COPYHEADER	       1
#define IP_FORWARD		       0
#define IP_REASSEMBLY		       1
#define IP_REASS_MAX_PBUFS	       64
#define IP_FRAG			       1
#define LWIP_ICMP		       1
#define LWIP_RAW		       1
#define LWIP_AUTOIP		       0
#define LWIP_ACD		       0
#define LWIP_IGMP		       0
#define LWIP_DHCP		       1
#define LWIP_DHCP_DOES_ACD_CHECK       0
#define LWIP_DNS		       1
#define LWIP_IPV6_MLD		       0
#define LWIP_IPV6_DHCP6		       0
#define LWIP_IPV6_AUTOCONFIG	       1
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS  1
#define LWIP_ND6_MAX_MULTICAST_SOLICIT 3
#define LWIP_ND6_NUM_NEIGHBORS	       16
#define LWIP_ND6_NUM_DESTINATIONS      16
#define LWIP_UDP		       1

/* --- TCP. Timers: fast 35 ms, slow 70 ms, so a lost tail is sent again within 300 ms --- */
#define TCP_TMR_INTERVAL  35
#define LWIP_TCP_RTO_TIME 1000
/* one SYN a second: nobody answers a connect for so many seconds, and it fails */
#define TCP_SYNMAXRTX 12
#define TCP_MSL	      5000UL
/* Of the loop-back, which has no MTU: with its heads a segment fits four pages. Frames are cut to what theirs carries. */
#define TCP_MSS		 (16384 - 168)
#define LWIP_WND_SCALE	 1
#define TCP_RCV_SCALE	 3
#define TCP_WND		 (256 * 1024)
#define TCP_SND_BUF	 (256 * 1024)
#define TCP_SND_QUEUELEN 1024
/* used by lwIP's own socket layer only, and checked all the same */
#define TCP_SNDLOWAT		 512
#define TCP_SNDQUEUELOWAT	 100
#define TCP_OVERSIZE		 1460
#define TCP_WND_UPDATE_THRESHOLD (4 * 1460)
#define TCP_QUEUE_OOSEQ		 1
#define TCP_OOSEQ_MAX_BYTES	 TCP_WND
#define TCP_OOSEQ_MAX_PBUFS	 512
#define LWIP_TCP_SACK_OUT	 1
#define LWIP_TCP_KEEPALIVE	 1
/* it counts to 255, and a SYN like a connection: net/embryo.c */
#define TCP_LISTEN_BACKLOG 0
#define SO_REUSE	   1
#define LWIP_HOOK_TCP_ISN(local_ip, local_port, remote_ip, remote_port)                            \
	net_isn_above_old(net_tcp_isn((local_ip), sizeof(*(local_ip)), (local_port), (remote_ip),  \
				      (remote_port)),                                              \
			  (remote_ip), (local_port), (remote_port))

#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, hdr, len, len1, opt2, p) net_tcp_seen((pcb), (hdr), (p))
#define LWIP_HOOK_IP4_INPUT(p, in)				 net_see_packet((p), (in))
#define LWIP_HOOK_IP6_INPUT(p, in)				 net_see_packet((p), (in))
/* one route table: net/route.c. What leaves an interface has its next hop already */
#define LWIP_HOOK_IP4_ROUTE_SRC(src, dest)   net_route(dest)
#define LWIP_HOOK_ETHARP_GET_GW(netif, dest) (dest)

/* --- checksums: one pass with the copy on sending, our own routine elsewhere; none over the loop-back --- */
#define LWIP_CHECKSUM_ON_COPY	     1
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_CHKSUM		     net_checksum
#define LWIP_CHKSUM_COPY	     net_checksum_copy

/* --- counters for /proc/net --- */
#define LWIP_STATS	   1
#define LWIP_STATS_LARGE   1
#define LWIP_STATS_DISPLAY 0
#define MEM_STATS	   0
#define MEMP_STATS	   0

#endif
