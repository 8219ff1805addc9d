// Writes what npm qs, with its defaults, answers to each query of corpus.json and
// exceptions.json beside it. To run it: npm install --no-package-lock && npm run regenerate
import { readFileSync, writeFileSync } from "node:fs";
import qs from "qs";

for (const name of ["corpus.json", "exceptions.json"]) {
  const file = new URL(name, import.meta.url);
  const cases = JSON.parse(readFileSync(file, "utf8"));
  const lines = cases.map((c) => JSON.stringify({ ...c, qs: qs.parse(c.query) }));
  writeFileSync(file, "[\n  " + lines.join(",\n  ") + "\n]\n");
}
