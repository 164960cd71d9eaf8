# SPDX-License-Identifier: MIT
"""The peer on this host of the differential ring: 10.0.2.2 in both guests. A program finds its ports in PEER: one that
does what the first line says, one that refuses; by UDP one that echoes. QEMU's ICMP errors do not reach a program under
Linux, so nobody asks for them here."""
import contextlib
import select
import socket
import socketserver
import struct
import threading


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def first_line(s):
    line = b""
    while not line.endswith(b"\n"):
        part = s.recv(1)
        if not part:
            break
        line += part
    return line.decode().split() or ["nothing"]


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        with contextlib.suppress(OSError):
            command, *words = first_line(self.request)
            getattr(self, "do_" + command)(self.request, *words)

    def do_nothing(self, s):
        pass

    def do_echo(self, s):
        while part := s.recv(65536):
            s.sendall(part)

    def do_bye(self, s):
        """The last word, and the end of it; what comes is read, and once that ends, so does this."""
        s.sendall(b"bye")
        s.shutdown(socket.SHUT_WR)
        while s.recv(65536):
            pass

    def do_reset(self, s, text=""):
        s.sendall(text.encode())
        if text:
            s.recv(1)
        reset(s)

    def do_unread(self, s):
        """Close with bytes unread."""
        select.select([s], [], [], 20)

    def do_count(self, s):
        total = 0
        while part := s.recv(65536):
            total += len(part)
        s.sendall(b"%d" % total)

    def do_flood(self, s, n):
        data = bytes(i % 251 for i in range(65536 * 251 // 256))
        n = int(n)
        while n:
            part = data[:n]
            s.sendall(part)
            n -= len(part)

    def do_hold(self, s):
        """Read nothing before the other end is told, by a second connection, that it may go on."""
        Handler.held.wait(20)
        Handler.held.clear()
        self.do_count(s)

    def do_go(self, s):
        Handler.held.set()

    held = threading.Event()


class Tcp(socketserver.ThreadingTCPServer):
    daemon_threads, request_queue_size, block_on_close = True, 64, False

    def shutdown_request(self, request):
        """No shutdown first, which would send the end before a reset."""
        request.close()


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        self.request[1].sendto(self.request[0], self.client_address)


class Peer:
    def __enter__(self):
        self.servers = [Tcp(("127.0.0.1", 0), Handler), socketserver.UDPServer(("127.0.0.1", 0), Echo)]
        for server in self.servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        # bound, and not listening
        self.refusing = socket.socket()
        self.refusing.bind(("127.0.0.1", 0))
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.shutdown()
            server.server_close()
        self.refusing.close()

    def words(self):
        """What stands before a command in the guest."""
        ports = [self.servers[0].server_address[1], self.refusing.getsockname()[1], self.servers[1].server_address[1]]
        return "PEER=" + ",".join(map(str, ports))
