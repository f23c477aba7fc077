// Moves a new campaign to archived, which the campaigns room is told of.
const { CAMPAIGNS_URL, ADMIN_KEY } = process.env
async function post(path, body) {
  const answer = await fetch(CAMPAIGNS_URL + path, {
    method: 'POST', headers: { apikey: ADMIN_KEY, 'content-type': 'application/json' }, body: JSON.stringify(body),
  })
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
  return answer.json()
}
const { campaign_id: id } = await post('/v1/campaigns', { retailer_id: 'ret-check', name: 'moved' })
await post(`/v1/campaigns/${id}/transitions`, { to: 'archived' })
