// Freezes the answers of Truto's public function library: npm install, then TZ=UTC node regenerate.mjs.
//
// Each line of corpus.jsonl has an expr, and then answer, or error, or neither where the result is
// undefined.
import {readFileSync, writeFileSync} from 'node:fs';
import jsonata from '@truto/truto-jsonata';

const corpus = new URL('corpus.jsonl', import.meta.url);
const cases = readFileSync(corpus, 'utf8').split('\n').filter(line => line !== '').map(line => JSON.parse(line));

const lines = [];
for (const {expr} of cases) {
	const out = {expr};
	try {
		const answer = await jsonata(expr).evaluate({});
		if (typeof answer !== 'function' && answer !== undefined) {
			out.answer = answer;
		}
	} catch {
		out.error = true;
	}
	lines.push(JSON.stringify(out) + '\n');
}
writeFileSync(corpus, lines.join(''));
process.exit(0);
