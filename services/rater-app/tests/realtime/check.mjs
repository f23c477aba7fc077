// What a page of ours relies on, seen through the stock client: rooms, presence, changes of rows, tokens, and nothing lost over a cut.
// Prints PASS or FAIL per check; run by scripts/check-realtime, which sets the environment.
import { execSync } from 'node:child_process'
import { createClient } from '@supabase/supabase-js'
import ws from 'ws'

const { REALTIME_URL, APIKEY, PUBLISHABLE_KEY, TOKEN_CMD, TRIGGER_CMD, DROP_CMD, VSN = '2.0.0' } = process.env
const run = (command, more) => execSync(command, { env: { ...process.env, ...more } }).toString().trim()
const token = (life = 3600) => run(TOKEN_CMD, { PROBE_TTL: String(life) })
const change = (op, name) => run(TRIGGER_CMD, { PROBE_OP: op, PROBE_VAL: name, PROBE_MARK: String(Math.random()) })
const unique = () => Math.random().toString(36).slice(2, 10)
const must = (holds, what) => { if (!holds) throw new Error(what) }
async function until(found, what, ms = 20_000) {
  for (const end = Date.now() + ms; ;) {
    const value = found()
    if (value) return value
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${typeof what === 'function' ? what() : what}`)
    await new Promise((done) => setTimeout(done, 20))
  }
}

let clients = []
function client(life) {
  const own = life && token(life)
  const made = createClient(REALTIME_URL, APIKEY, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    ...(own ? { accessToken: async () => own } : {}),
    realtime: { transport: ws, vsn: VSN },
  })
  clients.push(made)
  return made
}
// A page of somebody's shop: the key that everybody may know, and nothing else.
function page() {
  const made = createClient(REALTIME_URL, PUBLISHABLE_KEY, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    realtime: { transport: ws, vsn: VSN },
  })
  clients.push(made)
  return made
}
// What a client is told of a channel.
function told(channel) {
  const seen = []
  channel.subscribe((status, error) => seen.push(error ? `${status}: ${error.message}` : status))
  return seen
}
async function joined(channel) {
  const seen = []
  channel.system = []
  channel.on('system', {}, (message) => channel.system.push(message))
  channel.subscribe((status, error) => seen.push(error ? `${status}: ${error.message}` : status))
  await until(() => seen.includes('SUBSCRIBED'), () => `joining ${channel.topic}: ${seen}`)
  return channel
}
const send = (channel, event, payload) => channel.send({ type: 'broadcast', event, payload })

const checks = {
  async 'a word said in an open room reaches the others and is acknowledged'() {
    const room = `probe-${unique()}`, heard = []
    await joined(client().channel(room).on('broadcast', { event: 'word' }, (m) => heard.push(m.payload.n)))
    const speaker = await joined(client().channel(room, { config: { broadcast: { ack: true } } }))
    for (let n = 0; n < 20; n++) must((await send(speaker, 'word', { n })) === 'ok', 'not acknowledged')
    await until(() => heard.length === 20, () => `heard ${heard}`)
    must(heard.every((n, at) => n === at), `order ${heard}`)
  },
  async 'presence is shown and taken back'() {
    const room = `probe-${unique()}`
    const amy = await joined(client().channel(room, { config: { presence: { key: 'amy' } } }).on('presence', { event: 'sync' }, () => {}))
    await amy.track({ step: 1 })
    const seer = client()
    const bob = await joined(seer.channel(room, { config: { presence: { key: 'bob' } } }).on('presence', { event: 'sync' }, () => {}))
    await until(() => bob.presenceState().amy?.[0].step === 1, 'amy is there')
    await amy.untrack()
    await until(() => !bob.presenceState().amy, 'amy is gone')
  },
  async 'changes of a campaign come with the chosen columns and only where the filter holds'() {
    const name = `check-${unique()}`, own = client(3600), heard = [], narrow = []
    await own.realtime.setAuth()
    const filters = [`name=eq.${name}`, `name=in.(other,${name})`, `version=gte.1,name=eq.${name}`, `name=neq.${name}`, `version=lt.1`]
    const channel = own.channel(`probe-${unique()}`)
    for (const filter of filters) {
      channel.on('postgres_changes', { event: '*', schema: 'public', table: 'campaigns', filter }, (m) => heard.push([filter, m.eventType, m.new.version]))
    }
    channel.on('postgres_changes', { event: 'UPDATE', schema: 'public', table: 'campaigns', filter: `name=eq.${name}`, select: ['name', 'status'] }, (m) => narrow.push(m.new))
    await joined(channel)
    await until(() => channel.system.some((m) => m.extension === 'postgres_changes' && m.status === 'ok'), 'the subscription is live')
    change('INSERT', name)
    change('UPDATE', name)
    await until(() => heard.length >= 6 && narrow.length, () => `heard ${JSON.stringify(heard)}`)
    for (const filter of filters.slice(0, 3)) {
      const events = heard.filter(([of]) => of === filter)
      must(JSON.stringify(events.map(([, type, version]) => [type, version])) === '[["INSERT",1],["UPDATE",2]]', `${filter}: ${JSON.stringify(events)}`)
    }
    must(heard.length === 6, `a filter let through what it excludes: ${JSON.stringify(heard)}`)
    must(JSON.stringify(Object.keys(narrow[0]).sort()) === '["name","status"]', `columns ${Object.keys(narrow[0])}`)
  },
  async 'a column that does not exist is refused by name'() {
    const own = client(3600)
    await own.realtime.setAuth()
    const channel = own.channel(`probe-${unique()}`)
    channel.on('postgres_changes', { event: '*', schema: 'public', table: 'campaigns', filter: 'colour=eq.red' }, () => {})
    await joined(channel)
    await until(() => channel.system.some((m) => m.status === 'error' && m.message.includes('colour')), () => JSON.stringify(channel.system))
  },
  async 'what was said during a cut is replayed by sequence, once'() {
    const own = client(3600), seen = []
    await own.realtime.setAuth()
    const listen = (sb, after) => {
      const options = { config: { private: true, ...(after === undefined ? {} : { broadcast: { replay: { after } } }) } }
      return joined(sb.channel('campaigns', options).on('broadcast', { event: 'campaign_moved' }, (m) => seen.push(m.meta.sequence)))
    }
    await listen(own)
    const move = () => run(process.env.MOVE_CMD)
    move()
    await until(() => seen.length === 1, () => `the first event: ${seen}`)
    await own.realtime.disconnect()
    move()
    move()
    run(DROP_CMD)
    const back = client(3600)
    await back.realtime.setAuth()
    await listen(back, seen[0])
    move()
    await until(() => seen.length >= 4, () => `four events: ${seen}`)
    await new Promise((done) => setTimeout(done, 500))
    must(seen.length === 4 && new Set(seen).size === 4, `each once: ${seen}`)
  },
  async 'visitors with the publishable key talk in a lobby and hear nothing of the system'() {
    const room = `lobby-${unique()}`, heard = []
    await joined(page().channel(room).on('broadcast', { event: 'word' }, (m) => heard.push(m.payload.n)))
    const visitor = page()
    const speaker = await joined(visitor.channel(room, { config: { broadcast: { ack: true } } }))
    must((await send(speaker, 'word', { n: 1 })) === 'ok', 'not acknowledged')
    await until(() => heard.length === 1, 'what a visitor says')
    for (const closed of ['leaderboard', 'tasks', `probe-${unique()}`]) {
      const seen = told(visitor.channel(closed))
      await until(() => seen.some((status) => /CHANNEL_ERROR.*Unauthorized/.test(status)), () => `${closed}: ${seen}`)
    }
  },
  async 'a page signs somebody up and in with the publishable key, hears what they may, and nothing after signing out'() {
    const shop = page(), other = page(), email = `${unique()}@example.com`, password = `long-${unique()}-${unique()}`
    const made = await shop.auth.signUp({ email, password })
    must(made.data.session, `no session: ${made.error?.message}`)
    const signedIn = await other.auth.signInWithPassword({ email, password })
    must(signedIn.data.session, `not signed in: ${signedIn.error?.message}`)
    const seen = told(shop.channel('leaderboard')), seenByOther = told(other.channel('leaderboard'))
    await until(() => seen.includes('SUBSCRIBED') && seenByOther.includes('SUBSCRIBED'), () => `joining: ${seen} ${seenByOther}`)
    const refreshed = await shop.auth.refreshSession()
    must(refreshed.data.session, `not refreshed: ${refreshed.error?.message}`)
    const { error } = await shop.auth.signOut({ scope: 'global' })
    must(!error, `not signed out: ${error?.message}`)
    // The other page may be on the other process; neither knows anything of the sign-out but that its socket closes.
    await until(() => !shop.realtime.isConnected() || seen.length > 1, () => `signed out: ${seen}`)
    await until(() => seenByOther.some((status) => /CHANNEL_ERROR/.test(status)), () => `the other page: ${seenByOther}`)
    await until(() => seenByOther.some((status) => /has ended/.test(status)), () => `the other page comes back with its old token: ${seenByOther}`)
    const gone = await other.auth.refreshSession()
    must(gone.error, 'its refresh token works still')
    const recover = await page().auth.resetPasswordForEmail(email)
    must(recover.error?.code === 'otp_disabled', `recover: ${JSON.stringify(recover.error)}`)
  },
  async 'a token that ends closes its channel and says so'() {
    const own = client(4)
    await own.realtime.setAuth()
    const channel = await joined(own.channel('leaderboard'))
    await until(() => channel.system.some((m) => m.status === 'error' && /expired/i.test(m.message)), 'the end of the token')
  },
}

let failed = 0
for (const [name, check] of Object.entries(checks)) {
  clients = []
  try {
    await check()
    console.log(`PASS ${name}`)
  } catch (error) {
    failed++
    console.log(`FAIL ${name}: ${error.message}`)
  }
  for (const made of clients) await Promise.race([made.realtime.disconnect(), new Promise((done) => setTimeout(done, 500))])
}
console.log(`${Object.keys(checks).length - failed} passed, ${failed} failed (vsn ${VSN})`)
process.exit(failed ? 1 : 0)
