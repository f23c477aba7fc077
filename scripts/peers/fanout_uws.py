"""A fan-out server on uWebSockets (Python package socketify): what is sent to /pub goes to all who are connected to /."""

import sys

from socketify import App, OpCode

app = App()
app.ws("/", {"compression": 0, "idle_timeout": 120, "max_backpressure": 16 * 1024 * 1024, "open": lambda ws: ws.subscribe("room")})
app.ws(
    "/pub",
    {
        "compression": 0,
        "idle_timeout": 120,
        "message": lambda ws, message, opcode: app.publish("room", message, OpCode.TEXT),
    },
)
app.listen({"port": int(sys.argv[1]), "host": "127.0.0.1"}, lambda config: None)
app.run()
