/* SPDX-License-Identifier: MIT */
/* Inside net/: what sockets tell of themselves. */
#ifndef TERN_NET_SOCKET_IMPL_H
#define TERN_NET_SOCKET_IMPL_H

/* Sockets that exist, accepted or not. Any context. */
unsigned socket_count(void);

#endif
