// Package engine compiles mappings and carries out their calls. It knows no provider.
//
//	mappings/*.yaml ─▶ Load ─▶ Documents ─▶ Compile ─▶ Catalog + Diagnostics          once, at start
//	Request ─▶ Build ─▶ Call ─▶ attempt { Doer ─▶ Reply ─▶ read } ─▶ Answer ─▶ Output   for each call
//
// Engine.Do carries out a Plan, one unified method of one Integration: before steps, the main
// call, after steps, and the mapping of the answers to records. Engine.Call makes the call of an
// Endpoint, without a mapping. Engine.Plan computes what Do would send.
//
//   - Building, reading and mapping do no I/O. Their clock and random source are those of the
//     jsonata.Language.
//   - Only a Doer does I/O. It makes one attempt; attempt.go decides about the next one.
//   - A Plan, Catalog and Integration are immutable and safe for concurrent use.
//   - No function changes its arguments.
//   - Problems of a mapping are source.Diagnostics, all at once, with file:line:col. A run-time
//     problem is one *Error.
//
// load*.go and document.go read files; compile.go and check.go compile and lint them; probe*.go
// and support.go evaluate mappings on sample bodies; integration.go and plan.go hold the results.
// A call runs through engine.go, build.go, attempt.go, read.go and record.go. override*.go add a
// customer's expressions to a plan.
package engine
