#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// A complete subscriber in Node (npm install zeromq): holds every event in memory and a file, once, whatever crashes. For what a
// batch does and the cursor that acknowledges it are one line, there as a whole or cut off at the next start; where something is
// deleted, a file of what is left takes the old one's place. It begins with the snapshot, which ends with the cursor of the log.
//     subscriber.js ENDPOINT[,ENDPOINT…] EDGE_PUBLIC_KEY KEY_FILE FILE [TYPE …]
// KEY_FILE, whose first line is registered: (umask 077; node -e 'console.log(Object.values(require("zeromq").curveKeyPair()).join("\n"))' >agency.key)
const [fs, zmq] = [require("fs"), require("zeromq")];
const [endpoints, edgeKey, keyFile, path, ...types] = process.argv.slice(2);
const notices = ["nuanxin.membership.v1.MemberErased", "nuanxin.membership.v1.ConsentWithdrawn"];
const held = new Map(); // by id: a snapshot may bring an event again
function open() {
  const [curvePublicKey, curveSecretKey] = fs.readFileSync(keyFile, "utf8").split("\n"), keys = [curvePublicKey, curveSecretKey, edgeKey];
  if (keys.some((key) => key?.length !== 40)) throw new Error(`no keys in ${keyFile}, or EDGE_PUBLIC_KEY is none`);
  const socket = new zmq.Dealer({ curveServerKey: edgeKey, curvePublicKey, curveSecretKey, linger: 0, immediate: true, sendTimeout: 5000, receiveTimeout: 15000 });
  endpoints.split(",").forEach((endpoint) => socket.connect(endpoint));
  return socket;
}
function write(name, flag, line) { // durable when it returns
  const file = fs.openSync(name, flag, 0o600);
  if (line) fs.writeFileSync(file, JSON.stringify(line) + "\n");
  fs.fsyncSync(file), fs.closeSync(file);
}
function keep({ cursor, events }) { // a cursor past a notice is the receipt for it: what is held of that person goes with it
  let deleted = false;
  for (const e of events) {
    for (const [id, old] of notices.includes(e.type) && e.subject ? held : [])
      if (JSON.stringify(old).includes(e.subject)) deleted = held.delete(id);
    held.set(e.id, e);
  }
  if (!deleted) return write(path, "a", { cursor, events });
  write(path + ".new", "w", { cursor, events: [...held.values()] });
  fs.renameSync(path + ".new", path);
  write(require("path").dirname(path), "r");
}
async function main() {
  if (!path) throw new Error("usage: subscriber.js ENDPOINT[,ENDPOINT…] EDGE_PUBLIC_KEY KEY_FILE FILE [TYPE …]");
  const kept = fs.existsSync(path) ? fs.readFileSync(path) : Buffer.alloc(0), whole = kept.lastIndexOf("\n") + 1;
  if (whole < kept.length) fs.truncateSync(path, whole); // what a crash left of a line
  let cursor = "snapshot", socket = open();
  for (const line of kept.toString("utf8", 0, whole).split("\n").slice(0, -1))
    for (const e of ({ cursor } = JSON.parse(line)).events) held.set(e.id, e);
  for (let kind, body; ; ) {
    try {
      await socket.send(["FETCH", JSON.stringify({ cursor, max: 500, wait: 10, types })]);
      [kind, body] = await socket.receive();
    } catch (error) { // another connection, and the same fetch once more
      console.error("no edge answers: trying again. Address right? EDGE_PUBLIC_KEY the edge's? Our public key registered?");
      socket = socket.close() ?? open();
      continue;
    }
    const answer = JSON.parse(body);
    if (kind.toString() === "BATCH") keep({ cursor } = answer);
    else if (answer.type === "urn:nuanxin:problem:cursor-gone") cursor = "snapshot"; // away for too long: first the present state
    else if (answer.status === 429 || answer.status === 503) await new Promise((done) => setTimeout(done, answer.retryAfterMs));
    else throw new Error(answer.detail);
  }
}
main().catch((error) => process.exit(console.error(error.message) ?? 1));
