#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
//
// A complete subscriber in Node (npm install zeromq): keeps every event in a file, once, whatever crashes in between. For
// what a batch does and the cursor that acknowledges it are one line, which is there as a whole or cut off at the next start,
// when the fetch begins where the last whole line ended.
//
//     subscriber.js ENDPOINT[,ENDPOINT…] EDGE_PUBLIC_KEY KEY_FILE FILE [TYPE …]
//
// KEY_FILE: node -e 'const k = require("zeromq").curveKeyPair(); console.log(k.publicKey + "\n" + k.secretKey)' >agency.key
// Its first line, the public key, is what the association registers.
const fs = require("fs");
const zmq = require("zeromq");

const [endpoints, edgeKey, keyFile, path, ...types] = process.argv.slice(2);
const [publicKey, secretKey] = fs.readFileSync(keyFile, "utf8").split("\n");

function open() {
  const socket = new zmq.Dealer({
    curveServerKey: edgeKey, curvePublicKey: publicKey, curveSecretKey: secretKey,
    linger: 0, immediate: true, sendTimeout: 5000, receiveTimeout: 15000,
  });
  endpoints.split(",").forEach((endpoint) => socket.connect(endpoint));
  return socket;
}

async function main() {
  const file = fs.openSync(path, "a+");
  const kept = fs.readFileSync(path);
  fs.ftruncateSync(file, kept.lastIndexOf("\n") + 1); // what a crash left of a line
  const last = kept.toString().split("\n").at(-2);
  let cursor = last ? JSON.parse(last).cursor : "";
  for (let socket = open(); ; ) {
    let kind, body;
    try {
      await socket.send(["FETCH", JSON.stringify({ cursor, max: 500, wait: 10, types })]);
      [kind, body] = await socket.receive();
    } catch (error) { // no edge has answered: another connection, and the same fetch once more
      console.error(`${error.message}: trying again`);
      socket.close();
      socket = open();
      continue;
    }
    const answer = JSON.parse(body);
    if (kind.toString() === "BATCH") {
      cursor = answer.cursor;
      fs.writeSync(file, JSON.stringify({ cursor, events: answer.events }) + "\n");
      fs.fsyncSync(file);
    } else if (answer.type === "urn:nuanxin:problem:cursor-gone")
      cursor = "snapshot"; // away for too long: first the present state, then the log again
    else if (answer.status === 429 || answer.status === 503)
      await new Promise((resolve) => setTimeout(resolve, answer.retryAfterMs));
    else throw new Error(answer.detail);
  }
}

main().catch((error) => process.exit(console.error(error.message) ?? 1));
