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
//	grant     {scope, caller} of the consent that gave the request's Bearer token; absent
//	          where the token is none, has expired or is revoked
//	facts, settings   the file's own data
//	now       RFC 3339, UTC, milliseconds
//	serial    a number that grows with each change of state, for new ids
//
// and, where they can be, problem (what a check's `when` gave), saved (what `put` gave, by
// collection), record (in a view) and answer {status, body, text} (in finish and faults).
// Requests that change state run one after the other and see each other's changes.
//
// A section `oauth2` adds an authorization server (RFC 6749, 7636, 7009), strict, with one
// client and any redirect_uri over http or https:
//
//	client_id, client_secret   the client; it authenticates by Basic or in the body
//	authorize, token, revoke   paths under /<name>, outside of the base URL's; revoke may be absent
//	code_lifetime, expires_in  lifetimes (90s, 15m) of codes and access tokens; without expires_in for ever
//	refresh                    none, keep or rotate; a used token is refused and ends its grant
//	pkce                       optional or required; S256 only
//	caller                     expression: what who consents acts as, for grant.caller
//	answer                     expression: the token endpoint's JSON, in place of token, what
//	                           RFC 6749 §5.1 says {access_token, token_type, expires_in, …}
//
// Neither guard nor finish is asked there, and of faults it meets the built-in ones.
package sandbox
