"""As much of a WebSocket client (RFC 6455) as is needed to see how a server says goodbye."""
import base64
import os
import socket
import struct


class WebSocket:
    def __init__(self, port, token):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        key = base64.b64encode(os.urandom(16)).decode()
        request = (
            f"GET /realtime/v1/websocket?apikey={token}&vsn=1.0.0 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        self.socket.sendall(request.encode())
        head = b""
        while b"\r\n\r\n" not in head:
            data = self.socket.recv(1)
            if not data:
                raise OSError("the socket was refused")
            head += data
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise OSError(head.split(b"\r\n")[0].decode())

    def close_code(self, within):
        """The code of the close frame; None when the connection ended without one."""
        self.socket.settimeout(within)
        try:
            while True:
                first, second = self._read(2)
                length = second & 127
                if length == 126:
                    (length,) = struct.unpack(">H", self._read(2))
                elif length == 127:
                    (length,) = struct.unpack(">Q", self._read(8))
                payload = self._read(length)
                if first & 15 == 8:
                    return struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 1005
        except (OSError, ValueError):
            return None
        finally:
            self.socket.close()

    def _read(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise OSError("the connection ended")
            data += more
        return data
