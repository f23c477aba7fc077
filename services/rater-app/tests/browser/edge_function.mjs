// Serves the Edge Function of deploy/supabase/functions/auto-checks as it is, on a port that the system chose, which is printed: for tests of the
// rater app. Types are taken out by the compiler, since this Node reads JavaScript only.
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import ts from 'typescript'

const source = new URL('../../../../deploy/supabase/functions/auto-checks/', import.meta.url)
const folder = mkdtempSync(join(tmpdir(), 'edge-function-'))
for (const file of ['index', 'checks', 'words']) {
  const text = readFileSync(new URL(`${file}.ts`, source), 'utf8').replaceAll(/from "\.\/(\w+)\.ts"/g, 'from "./$1.mjs"')
  const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 }
  writeFileSync(join(folder, `${file}.mjs`), ts.transpileModule(text, { compilerOptions: options }).outputText)
}
const { answer } = await import(pathToFileURL(join(folder, 'index.mjs')))

const server = createServer(async (incoming, outgoing) => {
  const pieces = []
  for await (const piece of incoming) pieces.push(piece)
  const body = incoming.method === 'POST' ? Buffer.concat(pieces) : undefined
  const request = new Request(`http://localhost${incoming.url}`, { method: incoming.method, headers: incoming.headers, body })
  const response = await answer(request, process.env.ENDCAP_CHECKS_KEY)
  outgoing.writeHead(response.status, Object.fromEntries(response.headers))
  outgoing.end(Buffer.from(await response.arrayBuffer()))
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
