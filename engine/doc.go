// Package engine is the mapping language and what carries it out. It knows no provider.
//
//	mappings/*.yaml ─▶ Load ─▶ Documents ─▶ Compile ─▶ Catalog + Diagnostics          once, at start
//	Request ─▶ Build ─▶ Call ─▶ attempt { Doer ─▶ Reply ─▶ read } ─▶ Answer ─▶ Output   for each call
//
// Engine.Do carries out a Plan, which is one unified method of one Integration: before steps,
// the main call, after steps, and the mapping of the answers to records. Engine.Call makes the
// call of an Endpoint, without any mapping. Engine.Plan computes what Do would send.
//
//   - Build, read and the mapping of records are pure: no I/O; the clock and random source are
//     those given to jsonata.NewLanguage.
//   - Only a Doer does I/O. It makes one attempt; attempt.go decides whether there is another.
//   - A Plan, Catalog and Integration are immutable and safe for concurrent use.
//   - No step writes into what it is given.
//   - Load-time problems are source.Diagnostics, all at once, with file:line:col. A run-time
//     problem is one *Error.
//
// The files stand in this order: load*.go and document.go read; compile.go and check.go
// compile and lint; probe*.go and support.go find out, by running a mapping on made-up bodies,
// what it really does; integration.go and plan.go are what comes of it; engine.go, build.go,
// attempt.go, read.go and record.go are the way of a call; override*.go lay a customer's
// expressions over a plan.
package engine
