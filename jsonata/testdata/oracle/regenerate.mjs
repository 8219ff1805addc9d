// Freezes the reference implementation's answers: npm install, then node regenerate.mjs.
//
// Each line of corpus.jsonl has a name, an expr and an input (a name in inputs.json), and
// then answer, or error (the reference's code), or neither where the result is undefined.
import {readFileSync, writeFileSync} from 'node:fs';
import jsonata from 'jsonata';

const file = name => new URL(name, import.meta.url);
const inputs = JSON.parse(readFileSync(file('inputs.json'), 'utf8'));
const cases = readFileSync(file('corpus.jsonl'), 'utf8').split('\n').filter(line => line !== '').map(line => JSON.parse(line));

const lines = [];
for (const {name, expr, input} of cases) {
	const out = {name, expr, input};
	try {
		const answer = await jsonata(expr).evaluate(structuredClone(inputs[input]));
		if (typeof answer !== 'function' && answer !== undefined) {
			out.answer = answer;
		}
	} catch (error) {
		out.error = error.code ?? 'unknown';
	}
	lines.push(JSON.stringify(out) + '\n');
}
writeFileSync(file('corpus.jsonl'), lines.join(''));
