/* SPDX-License-Identifier: MIT */
/* What OpenSSH's configure script finds out of musl without OpenSSL, as far as it changes what becomes of the files that the
 * Makefile lists. */
#ifndef TERN_USER_OPENSSH_CONFIG_H
#define TERN_USER_OPENSSH_CONFIG_H

#define BROKEN_ONE_BYTE_DIRENT_D_NAME	       1
#define GETPGRP_VOID			       1
#define HAVE_BASENAME			       1
#define HAVE_BZERO			       1
#define HAVE_CLOCK_GETTIME		       1
#define HAVE_DIRNAME			       1
#define HAVE_ENDGRENT			       1
#define HAVE_FCHMOD			       1
#define HAVE_FCHMODAT			       1
#define HAVE_FCHOWN			       1
#define HAVE_FCHOWNAT			       1
#define HAVE_FREEADDRINFO		       1
#define HAVE_FSTATVFS			       1
#define HAVE_FUTIMES			       1
#define HAVE_GAI_STRERROR		       1
#define HAVE_GETADDRINFO		       1
#define HAVE_GETNAMEINFO		       1
#define HAVE_GETOPT_OPTRESET		       1
#define HAVE_GETPGID			       1
#define HAVE_GETRLIMIT			       1
#define HAVE_GETSID			       1
#define HAVE_INTMAX_T			       1
#define HAVE_ISBLANK			       1
#define HAVE_KILLPG			       1
#define HAVE_LANGINFO_H			       1
#define HAVE_LIBGEN_H			       1
#define HAVE_LIMITS_H			       1
#define HAVE_LLABS			       1
#define HAVE_LOCALTIME_R		       1
#define HAVE_MBLEN			       1
#define HAVE_MBTOWC			       1
#define HAVE_MODE_T			       1
#define HAVE_NANOSLEEP			       1
#define HAVE_NFDS_T			       1
#define HAVE_NL_LANGINFO		       1
#define HAVE_PRCTL			       1
#define HAVE_RAISE			       1
#define HAVE_REALPATH			       1
#define HAVE_SA_FAMILY_T		       1
#define HAVE_SETEGID			       1
#define HAVE_SETEUID			       1
#define HAVE_SETSID			       1
#define HAVE_SIZE_T			       1
#define HAVE_SSIZE_T			       1
#define HAVE_STATVFS			       1
#define HAVE_STRDUP			       1
#define HAVE_STRUCT_ADDRINFO		       1
#define HAVE_STRUCT_IN6_ADDR		       1
#define HAVE_STRUCT_PASSWD_PW_GECOS	       1
#define HAVE_STRUCT_POLLFD_FD		       1
#define HAVE_STRUCT_SOCKADDR_IN6	       1
#define HAVE_STRUCT_SOCKADDR_IN6_SIN6_SCOPE_ID 1
#define HAVE_STRUCT_SOCKADDR_STORAGE	       1
#define HAVE_STRUCT_STAT_ST_BLKSIZE	       1
#define HAVE_STRUCT_TIMESPEC		       1
#define HAVE_SYS_MMAN_H			       1
#define HAVE_SYS_POLL_H			       1
#define HAVE_SYS_PRCTL_H		       1
#define HAVE_SYS_STATVFS_H		       1
#define HAVE_SYS_STAT_H			       1
#define HAVE_SYS_UN_H			       1
#define HAVE_TCGETPGRP			       1
#define HAVE_TCSENDBREAK		       1
#define HAVE_TRUNCATE			       1
#define HAVE_UINTMAX_T			       1
#define HAVE_USLEEP			       1
#define HAVE_UTIMENSAT			       1
#define HAVE_UTIMES			       1
#define HAVE_WCWIDTH			       1
#define HAVE___PROGNAME			       1
#define HAVE___func__			       1
#define IPV4_IN_IPV6			       1
#define LINK_OPNOTSUPP_ERRNO		       EPERM
#define SIZEOF_INT			       4
#define SIZEOF_LONG_INT			       8
#define SIZEOF_LONG_LONG_INT		       8
#define SIZEOF_SHORT_INT		       2
#define SIZEOF_TIME_T			       8
#define SNPRINTF_CONST			       const
#define USER_PATH			       "/bin"

#endif
