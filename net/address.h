/* SPDX-License-Identifier: MIT */
/* Inside net/: addresses as lwIP has them, and back. */
#ifndef TERN_NET_ADDRESS_H
#define TERN_NET_ADDRESS_H

#include <lwip/ip_addr.h>

#include "net/socket.h"

void address_from_lwip(struct socket_addr *out, const ip_addr_t *ip, uint16_t port);
void address_to_lwip(ip_addr_t *out, const struct socket_addr *a);

#endif
