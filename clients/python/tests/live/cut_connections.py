"""A TCP proxy whose connections can be cut or left hanging, as a network does."""

import socket
import threading


class CuttingProxy:
    """Forwards connections to an address; cut() ends those that are open, freeze() lets nothing
    through them any more and does not tell.
    """

    def __init__(self, target):
        host, _, port = target.rpartition(":")
        self._target = host, int(port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Lock()
        self._open = []
        self._frozen = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()
        self.cut()

    def cut(self):
        with self._lock:
            sockets, self._open = self._open, []
        for each in sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()

    def freeze(self):
        with self._lock:
            self._frozen.update(self._open)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return
            with self._lock:
                self._open += [client, server]
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def _forward(self, source, target):
        try:
            while received := source.recv(65536):
                if source not in self._frozen:
                    target.sendall(received)
            target.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
