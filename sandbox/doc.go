// Package sandbox simulates providers: real HTTP, strict checks, state in memory, failures on
// demand. A provider's sandbox.yaml describes it; the package knows no provider.
//
// Load reads one sandbox.yaml into a Provider, which is immutable. New serves several of
// them, each under /<name> and the path of its base URL, with its own state.
//
// An exchange goes: fault header ▸ route ▸ find ▸ guard ▸ no_route ▸ the route's find ▸
// refuse ▸ put, remove ▸ answer ▸ finish. Every computed text is JSONata over
//
//	request   {method, path, host, query, headers, media_type, text, json, basic}
//	params    the path's variables, decoded
//	state     {collection: [records]}; in answers as it is after the change
//	found     the results of `find`
//	grant     {scope, caller} of the request's Bearer token; absent if the token is missing,
//	          unknown, expired or revoked
//	facts, settings   the file's data
//	now       RFC 3339, UTC, milliseconds
//	serial    a number that each change of state increments, for new ids
//
// and, in some places, problem (the result of a check's `when`), saved (the results of `put`
// by collection), record (in a view) and answer {status, body, text} (in finish and faults).
// Requests that change state run one at a time.
//
// A section `oauth2` adds a strict authorization server (RFC 6749, 7636, 7009) with one client
// and any redirect_uri over http or https:
//
//	client_id, client_secret   the client; it authenticates by Basic or in the body
//	authorize, token, revoke   paths under /<name>, outside the base URL's; revoke is optional
//	code_lifetime, expires_in  lifetimes (90s, 15m) of codes and access tokens; without expires_in unlimited
//	refresh                    none, keep or rotate; a rotated token that is used again ends its grant
//	pkce                       optional, required (both S256 only) or ignored
//	caller                     expression: who the consenting user acts as, for grant.caller
//	answer                     expression: the token response; token is that of RFC 6749
//	                           §5.1 {access_token, token_type, expires_in, …}
//
// guard and finish do not apply there, nor do faults other than the built-in ones.
package sandbox
