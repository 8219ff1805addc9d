// Package gateway carries out unified calls, as values in and values out. It knows accounts,
// what a parameter means, what is validated and in which order, and which status a failure
// has. It knows neither HTTP servers nor YAML: REST, the command line and golden cases are
// faces on it.
//
//		Open(ctx, Caller, Target) ─▶ Ready       which account, which plan; nothing of the body is needed
//		Ready.Do(ctx, Input)      ─▶ Outcome     validate ─▶ credentials ─▶ engine ─▶ response schema ─▶ record
//		                          or a Problem   everything that is wrong, with a status
//
//	  - A Gateway, Snapshot, Ready and Outcome are safe for concurrent use.
//	  - A call takes the Snapshot once: a reload changes later calls only.
//	  - No step writes into what it is given.
package gateway
