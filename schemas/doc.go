// Package schemas holds the unified models (JSON Schema 2020-12), the schemas of the
// mapping files for editors (draft-07), and a validator that returns all violations.
//
// A model's file is <model>/<resource>.<method>.<part>.json; part is request, query or
// response.
//
// Values are plain JSON throughout: nil, bool, string, float64, json.Number, []any,
// map[string]any. The package does no I/O.
package schemas
