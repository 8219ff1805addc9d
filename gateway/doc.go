// Package gateway carries out unified calls, as values in and values out. It knows accounts, the
// meaning of parameters, the order of validation, and the status of each failure. It knows neither
// HTTP servers nor YAML: REST, the command line and golden cases are faces that use it.
//
//		Open(ctx, Caller, Target) ─▶ Ready       which account, which plan; nothing of the body is needed
//		Ready.Do(ctx, Input)      ─▶ Outcome     validate ─▶ credentials ─▶ engine ─▶ response schema ─▶ record
//		                          or a Problem   all failures, with a status
//
//	  - A Gateway, Snapshot, Ready and Outcome are safe for concurrent use.
//	  - A call takes the Snapshot once: a reload changes later calls only.
//	  - No function changes its arguments.
package gateway
