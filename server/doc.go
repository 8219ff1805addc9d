// Package server is the HTTP surface of Portolan: routes, tokens, the syntax of queries and
// bodies, the admin API, the pages of links, and the error envelope. Package gateway validates
// and carries out a unified request, and decides the status and the content of its answer.
//
// A unified request goes one way:
//
//	route ▸ token ▸ method ▸ query ▸ gateway.Gateway.Open ▸ body ▸ gateway.Ready.Do ▸ answer
//
// Each step either continues or ends the request with a gateway.Problem, the only type that
// becomes an error envelope. Statuses that only HTTP knows (token, size, body, too many
// requests) are set here.
package server
