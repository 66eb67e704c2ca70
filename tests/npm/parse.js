// SPDX-License-Identifier: Apache-2.0
//
// Reads events with npm's cloudevents, strictly. Standard input: {messages: [{headers, body}], events: [object]}; standard
// output: for each message, then for each event, what was understood of it, or {error}.
const {CloudEvent, HTTP} = require('cloudevents')

function shown(make) {
  try {
    const e = make()
    e.validate()
    return e.toJSON()
  } catch (e) {
    return {error: `${e.message} ${JSON.stringify(e.errors || '')}`}
  }
}

const {messages, events} = JSON.parse(require('node:fs').readFileSync(0, 'utf8'))
const results = messages.map((m) => shown(() => HTTP.toEvent(m))).concat(events.map((e) => shown(() => new CloudEvent(e, true))))
console.log(JSON.stringify(results))
