// Writes the vocabulary of an encoding as tiktoken's files have it, and prints how many tokens js-tiktoken finds in texts.
//
//   node count_tokens.mjs <clients directory> <encoding> <file to write>      texts: a JSON list on the standard input

import { createRequire } from "node:module";
import fs from "node:fs";
import path from "node:path";

const [clients, encoding, file] = process.argv.slice(2);
const require = createRequire(path.join(path.resolve(clients), "package.json"));
const { Tiktoken } = require("js-tiktoken/lite");
const loaded = require(`js-tiktoken/ranks/${encoding}`);
const ranks = loaded.default ?? loaded;

// Its own form has lines of a word, the rank of the first token, and tokens whose ranks follow each other.
const lines = [];
for (const line of ranks.bpe_ranks.split("\n").filter(Boolean)) {
  const [, first, ...tokens] = line.split(" ");
  tokens.forEach((token, i) => lines.push(`${token} ${Number(first) + i}\n`));
}
fs.writeFileSync(file, lines.join(""));

const tokenizer = new Tiktoken(ranks);
const texts = JSON.parse(fs.readFileSync(0, "utf8"));
// What looks like a special token is text, as it is to a model that a user writes to.
console.log(JSON.stringify(texts.map((text) => tokenizer.encode(text, [], []).length)));
