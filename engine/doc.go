// Package engine is the mapping language and what carries it out. It knows no provider.
//
//	mappings/*.yaml ─▶ Load ─▶ Documents ─▶ Compile ─▶ Catalog of Plans + Diagnostics   once, at start
//	Request ─▶ Plan.Build ─▶ Call ─▶ Doer.Do ─▶ Reply ─▶ Plan.Read ─▶ Answer ─▶ Plan.Transform ─▶ Record
//
// Engine.Do takes a Request all the way, before and after steps included.
//
//   - Build, Read and Transform are pure: no I/O; the clock and random source are those given to NewLanguage.
//   - Only a Doer does I/O.
//   - A Plan, Catalog, Language and Expr are immutable and safe for concurrent use.
//   - No step writes into what it is given.
//   - Load-time problems are Diagnostics, all at once, with file:line:col. A run-time problem is one *Error.
//
// What a mapping declares is held against what it does by running it on made-up bodies
// (probe.go); receipts, lint and the callers' field of a provider's error rest on that.
package engine
