/* SPDX-License-Identifier: MIT */
/* Error numbers of the Linux arm64 ABI, for floors that are no door to the packaged uapi headers.
 * kernel/syscall.c asserts that each equals the packaged one. */
#ifndef TERN_LIB_ERRNO_H
#define TERN_LIB_ERRNO_H

#ifdef HOSTED
#include <errno.h>
#else
#define EPERM		1
#define ENOENT		2
#define ESRCH		3
#define EINTR		4
#define EIO		5
#define ENXIO		6
#define E2BIG		7
#define ENOEXEC		8
#define EBADF		9
#define ECHILD		10
#define EAGAIN		11
#define ENOMEM		12
#define EACCES		13
#define EFAULT		14
#define ENOTBLK		15
#define EBUSY		16
#define EEXIST		17
#define EXDEV		18
#define ENODEV		19
#define ENOTDIR		20
#define EISDIR		21
#define EINVAL		22
#define ENFILE		23
#define EMFILE		24
#define ENOTTY		25
#define ETXTBSY		26
#define EFBIG		27
#define ENOSPC		28
#define ESPIPE		29
#define EROFS		30
#define EMLINK		31
#define EPIPE		32
#define EDOM		33
#define ERANGE		34
#define EDEADLK		35
#define ENAMETOOLONG	36
#define ENOLCK		37
#define ENOSYS		38
#define ENOTEMPTY	39
#define ELOOP		40
#define ENODATA		61
#define ETIME		62
#define ENONET		64
#define EPROTO		71
#define EBADMSG		74
#define EOVERFLOW	75
#define ELIBACC		79
#define EILSEQ		84
#define EUSERS		87
#define ENOTSOCK	88
#define EDESTADDRREQ	89
#define EMSGSIZE	90
#define EPROTOTYPE	91
#define ENOPROTOOPT	92
#define EPROTONOSUPPORT 93
#define ESOCKTNOSUPPORT 94
#define EOPNOTSUPP	95
#define EPFNOSUPPORT	96
#define EAFNOSUPPORT	97
#define EADDRINUSE	98
#define EADDRNOTAVAIL	99
#define ENETDOWN	100
#define ENETUNREACH	101
#define ENETRESET	102
#define ECONNABORTED	103
#define ECONNRESET	104
#define ENOBUFS		105
#define EISCONN		106
#define ENOTCONN	107
#define ESHUTDOWN	108
#define ETIMEDOUT	110
#define ECONNREFUSED	111
#define EHOSTDOWN	112
#define EHOSTUNREACH	113
#define EALREADY	114
#define EINPROGRESS	115
#define ESTALE		116
#define EDQUOT		122
#define ECANCELED	125
#define EOWNERDEAD	130
#define ENOTRECOVERABLE 131
#define EWOULDBLOCK	EAGAIN
#endif

/* Kernel-internal results that never reach a program. */
#define ERESTARTSYS                                                                                \
	512 /* a signal came: restart the call or give EINTR, decided at return to user */
#define ERESTARTNOINTR 513 /* restart the call, whatever the handler says */
#define ERESTARTNOHAND 514 /* the same, but EINTR whenever a handler runs */
#define ERESTART_RESTARTBLOCK                                                                      \
	516	      /* the same; made again as restart_syscall, which knows the deadline */
#define EFRAMESET 530 /* the call has set the whole frame: rt_sigreturn */

#endif
