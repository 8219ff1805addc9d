// Package sandbox plays providers: real HTTP, strict checks, state in memory, failures on
// demand. What a provider is like stands in its sandbox.yaml; nothing of it is known here.
//
// Load reads one sandbox.yaml into a Provider, which is immutable. New serves several
// of them, each under /<name> and the path of its base URL, with a state of its own.
//
// An exchange goes: fault header ▸ route ▸ find ▸ guard ▸ no_route ▸ the route's find ▸
// refuse ▸ put, remove ▸ answer ▸ finish. Every computed text is JSONata over
//
//	request   {method, path, host, query, headers, media_type, text, json, basic}
//	params    the path's variables, decoded
//	state     {collection: [records]}; in answers as it is after the change
//	found     what `find` gave
//	facts, settings   the file's own data
//	now       RFC 3339, UTC, milliseconds
//	serial    a number that grows with each change of state, for new ids
//
// and, where they can be, problem (what a check's `when` gave), saved (what `put` gave, by
// collection), record (in a view) and answer {status, body, text} (in finish and faults).
// Requests that change state run one after the other and see each other's changes.
package sandbox
