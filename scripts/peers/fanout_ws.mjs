// A fan-out server on Node's `ws`: what is sent to /pub goes to all who are connected to /.
import { WebSocketServer } from 'ws'

const subscribers = new Set()
const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[2]), perMessageDeflate: false })
server.on('connection', (socket, request) => {
  if (request.url === '/pub') {
    socket.on('message', (data) => { for (const one of subscribers) one.send(data, { binary: false }) })
    return
  }
  subscribers.add(socket)
  socket.on('close', () => subscribers.delete(socket))
})
