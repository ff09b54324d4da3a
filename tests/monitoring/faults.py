"""The faults of the incidents: a slow PostgreSQL, an SMTP server that refuses mail, and a Redis
that stops and starts again."""

import socket
import socketserver
import subprocess
import threading
import time
from pathlib import Path

from stage import Process, free_port, until


class Late:
    """A TCP proxy in front of a server. It forwards all bytes after a delay of `delay` seconds."""

    def __init__(self, port: int):
        self.target, self.delay, self.port = port, 0.0, free_port()
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=256)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.target))
            for side in (client, server):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.carry, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self.carry, args=(server, client, False), daemon=True).start()

    def carry(self, source: socket.socket, sink: socket.socket, is_asked: bool):
        try:
            while chunk := source.recv(65536):
                if is_asked and self.delay:
                    time.sleep(self.delay)
                sink.sendall(chunk)
        except OSError:
            pass
        for side in (source, sink):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            side.close()


class Dialogue(socketserver.StreamRequestHandler):
    """Implements only the part of SMTP that is needed to accept one mail. If `server.refusal` is
    set, this text is the reply to each recipient."""

    timeout = 60

    def say(self, words: str):
        self.wfile.write(f"{words}\r\n".encode())

    def setup(self):
        super().setup()
        self.server.open.add(self.connection)

    def handle(self):
        self.say("220 drill")
        while line := self.rfile.readline(1024):
            verb = line[:4].upper()
            if verb == b"DATA":
                self.say("354 go on")
                for content in self.rfile:
                    if content.rstrip(b"\r\n") == b".":
                        break
                self.server.taken += 1
                self.say("250 taken")
            elif verb == b"RCPT" and self.server.refusal:
                self.server.refused += 1
                self.say(self.server.refusal)
            elif verb == b"QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")


class Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    refusal, taken, refused = "", 0, 0

    def __init__(self, *arguments):
        self.open: set[socket.socket] = set()
        super().__init__(*arguments)

    def handle_error(self, *_):
        """Prints nothing, because a client that disconnects is not an error of this server."""


class Smtp:
    """A mail server that accepts mails. After `refuse` it refuses every recipient, and after
    `leave` it does not listen."""

    def __init__(self):
        self.port = free_port()
        self.server = None
        self.come()

    def come(self):
        if self.server is None:
            self.server = Listener(("127.0.0.1", self.port), Dialogue)
            threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.server.refusal = ""

    def refuse(self, words: str):
        self.server.refusal = words

    def leave(self):
        self.server.shutdown()
        self.server.server_close()
        for connection in self.server.open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.server = None


class Redis(Process):
    """A Redis that stores its data on the disk, so that the data still exists after a restart."""

    def __init__(self, home: Path):
        self.port = free_port()
        super().__init__("redis", home, [
            "redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(home), "--save", "",
            "--appendonly", "yes", "--maxmemory-policy", "noeviction",
        ])
        until("the start of Redis", 20, self.answers)

    def answers(self) -> bool:
        asked = subprocess.run(["redis-cli", "-p", str(self.port), "ping"], capture_output=True)
        return asked.stdout.strip() == b"PONG"

    def crash(self):
        self.child.kill()
        self.child.wait(10)
