// Package server is the HTTP surface of Portolan: routes, query syntax, validation of
// requests, response formats and the error envelope.
//
// A unified request goes one way through it:
//
//	route ▸ token ▸ method ▸ account ▸ plan ▸ body ▸ validation ▸ engine ▸ format
//
// Each step either continues or ends the request with a gateway.Problem, the only type that
// becomes an error envelope.
package server
