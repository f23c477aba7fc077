// A way to the rater app that can be cut: passes bytes on, and drops every connection when /cut is asked for on the second port.
import { createServer as listen, connect } from 'node:net'
import { createServer as serve } from 'node:http'

const [host, port] = process.argv[2].split(':')
const open = new Set()
const way = listen((near) => {
  const far = connect(Number(port), host)
  for (const [from, to] of [[near, far], [far, near]]) {
    open.add(from)
    from.on('error', () => to.destroy())
    from.on('close', () => { open.delete(from); to.destroy() })
    from.pipe(to)
  }
})
const control = serve((_, answer) => {
  for (const socket of open) socket.destroy()
  answer.end('cut\n')
})
way.listen(0, '127.0.0.1', () => control.listen(0, '127.0.0.1', () => console.log(`${way.address().port} ${control.address().port}`)))
