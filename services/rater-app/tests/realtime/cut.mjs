// A way to the rater apps that can be cut: passes bytes on, each connection to the next of them in turn, and drops every connection when /cut
// is asked for on the second port.
import { createServer as listen, connect } from 'node:net'
import { createServer as serve } from 'node:http'

const targets = process.argv.slice(2).map((target) => target.split(':'))
const open = new Set()
let turn = 0
const way = listen((near) => {
  const [host, port] = targets[turn++ % targets.length]
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
