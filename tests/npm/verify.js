// SPDX-License-Identifier: Apache-2.0
//
// Checks deliveries with npm's standardwebhooks, and their ed25519 signatures with Node's own crypto. Standard input: a list of
// {secret, publicKey, headers, body}; standard output: for each {hmac, ed25519}, "good" or why not.
const crypto = require('node:crypto')
const {Webhook} = require('standardwebhooks')

function tried(check) {
  try {
    check()
    return 'good'
  } catch (e) {
    return e.message
  }
}

// "v1a,SIGNATURE" over the same bytes; the key as "whpk_" and its 32 bytes in base64.
function checkEd25519({publicKey, headers, body}) {
  const raw = Buffer.from(publicKey.replace(/^whpk_/, ''), 'base64')
  const key = crypto.createPublicKey({key: {kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url')}, format: 'jwk'})
  const signed = Buffer.from(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`)
  const signatures = headers['webhook-signature'].split(' ').filter((s) => s.startsWith('v1a,'))
  if (!signatures.some((s) => crypto.verify(null, signed, key, Buffer.from(s.slice(4), 'base64'))))
    throw new Error(`none of ${signatures.length} signatures is good`)
}

const deliveries = JSON.parse(require('node:fs').readFileSync(0, 'utf8'))
const results = deliveries.map((d) => ({
  hmac: tried(() => new Webhook(d.secret).verify(d.body, d.headers)),
  ed25519: tried(() => checkEd25519(d)),
}))
console.log(JSON.stringify(results))
