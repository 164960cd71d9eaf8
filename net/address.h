/* SPDX-License-Identifier: MIT */
/* Inside net/: addresses as lwIP has them, and back. */
#ifndef TERN_NET_ADDRESS_H
#define TERN_NET_ADDRESS_H

#include <lwip/ip_addr.h>

#include "net/core.h"
#include "net/socket.h"

struct socket;

void address_from_lwip(struct socket_addr *out, const ip_addr_t *ip, uint16_t port);
void address_to_lwip(ip_addr_t *out, const struct socket_addr *a);
/* 0; -EINVAL an address of one link without its scope, -ENODEV no such. NET_CORE held. */
int address_check(const struct socket_addr *a) __requires(net_core) __must_check;
/* Where to, for a socket: no address is this machine's, as Linux has it. -EINVAL an address of one link without its scope,
 * -ENETUNREACH s does not reach such ones. NET_CORE held. */
int address_of_peer(const struct socket *s, const struct socket_addr *a, ip_addr_t *out)
	__requires(net_core) __must_check;
/* As a pcb of the socket is bound to it: any of IPv6 may be any of both. */
void address_to_bind(const struct socket *s, const struct socket_addr *a, ip_addr_t *out);
/* What a pcb of the socket is made as, and is while it has no address. */
uint8_t socket_ip_type(const struct socket *s);
/* Ours on the way there; NULL: there is no way. NET_CORE held. */
const ip_addr_t *address_source(const ip_addr_t *to) __requires(net_core);

#endif
