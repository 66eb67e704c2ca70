// SPDX-License-Identifier: Apache-2.0
//
// What AsyncAPI's own parser says of a document: node asyncapi.js FILE. Every remark counts, but for what is only good style
// elsewhere: where our document says the same in another place.
const { Parser } = require("@asyncapi/parser");
const fs = require("fs");

const style = new Set(["asyncapi-info-contact", "asyncapi-info-license", "asyncapi-info-contact-properties"]);

new Parser().parse(fs.readFileSync(process.argv[2], "utf8")).then(({ document, diagnostics }) => {
  const wrong = diagnostics.filter((d) => !style.has(d.code));
  for (const d of wrong) console.log(`${d.code}: ${d.path.join("/")}: ${d.message}`);
  if (!document) process.exitCode = 1;
  else if (!wrong.length) console.log(`${document.allMessages().all().length} messages, nothing wrong`);
});
