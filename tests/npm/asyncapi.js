// SPDX-License-Identifier: Apache-2.0
//
// What AsyncAPI's own parser says of the document on standard input. Every remark counts, but those that ask for what the
// specification leaves open: a contact and a licence, and its newest version.
const { Parser } = require("@asyncapi/parser");
const fs = require("fs");

const left_open = new Set(["asyncapi-info-contact", "asyncapi-info-contact-properties", "asyncapi-info-license", "asyncapi-latest-version"]);

new Parser().parse(fs.readFileSync(0, "utf8")).then(({ document, diagnostics }) => {
  const wrong = diagnostics.filter((d) => !left_open.has(d.code));
  for (const d of wrong) console.log(`${d.code}: ${d.path.join("/")}: ${d.message}`);
  if (document && !wrong.length) console.log(`${document.allMessages().all().length} messages, nothing wrong`);
});
