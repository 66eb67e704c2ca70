// SPDX-License-Identifier: Apache-2.0
//
// Reads server-sent events with npm's eventsource, and prints each as a line {id, event}; connection errors as {error}. It
// connects anew by itself, as a browser does. Arguments: the URL, the key.
const {EventSource} = require('eventsource')

const [url, key] = process.argv.slice(2)
const source = new EventSource(url, {
  fetch: (input, init) => fetch(input, {...init, headers: {...init.headers, Authorization: `Bearer ${key}`}}),
})
const say = (what) => process.stdout.write(JSON.stringify(what) + '\n')
source.onopen = () => say({open: true})
source.onmessage = (m) => say({id: m.lastEventId, event: JSON.parse(m.data)})
source.onerror = (e) => say({error: String(e.message || e.code || 'closed')})
