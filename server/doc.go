// Package server is the HTTP surface of Portolan: routes, query syntax, validation of
// requests, response formats and the error envelope.
//
// A unified request goes one way through it:
//
//	route ▸ token ▸ method ▸ account ▸ plan ▸ body ▸ validation ▸ engine ▸ format
//
// Each step either hands on or ends the request with a problem, the one type that becomes
// an error envelope. Nothing else in Portolan knows HTTP statuses as an outcome.
package server
