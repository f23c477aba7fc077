// Prints an access token that lives for PROBE_TTL seconds (negative: it is over), signed with the secret in JWT_SECRET_FILE.
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'

const secret = readFileSync(process.env.JWT_SECRET_FILE, 'utf8').trim()
const life = Number(process.env.PROBE_TTL ?? 3600)
const now = Math.floor(Date.now() / 1000)
const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
const claims = {
  sub: 'acc_realtime_check', role: 'authenticated', aud: 'authenticated', iat: Math.min(now, now + life - 1), exp: now + life,
  app_metadata: { role: process.env.ENDCAP_ROLE ?? 'expert' },
}
const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
console.log(`${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`)
