// Package schemas holds the unified models (JSON Schema 2020-12), the schemas of the
// mapping files for editors (draft-07), and the validator that answers with every
// violation at once.
//
// A model's file is <model>/<resource>.<method>.<part>.json; its part is request, query or
// response. Adding a file needs no Go.
//
// Values are plain JSON throughout: nil, bool, string, float64, json.Number, []any,
// map[string]any. Nothing here reads a file or the network at run time.
package schemas
