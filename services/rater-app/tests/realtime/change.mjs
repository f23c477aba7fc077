// Makes a campaign named PROBE_VAL (PROBE_OP=INSERT), or changes one of that name (UPDATE), by the campaign runtime's own API.
const { CAMPAIGNS_URL, ADMIN_KEY, PROBE_OP, PROBE_VAL, PROBE_MARK } = process.env
async function ask(method, path, body) {
  const answer = await fetch(CAMPAIGNS_URL + path, {
    method, headers: { apikey: ADMIN_KEY, 'content-type': 'application/json' }, body: body && JSON.stringify(body),
  })
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
  return answer.json()
}
if (PROBE_OP === 'INSERT') {
  await ask('POST', '/v1/campaigns', { retailer_id: 'ret-check', name: PROBE_VAL, attributes: { mark: PROBE_MARK } })
} else {
  const { data } = await ask('GET', '/v1/campaigns?limit=500&retailer_id=ret-check')
  const row = data.find((row) => row.name === PROBE_VAL)
  await ask('PATCH', `/v1/campaigns/${row.campaign_id}`, { attributes: { mark: PROBE_MARK } })
}
