package engine

import (
	"regexp"
	"slices"
	"strings"

	"portolan/jsonata"
	"portolan/source"
)

var (
	requestBindings = []string{"body", "query", "rawQuery", "context", "id", "before"}
	answerBindings  = append(slices.Clip(requestBindings), "response", "headers", "status", "after")
)

func readMapping(r *reader, root *source.Node, model string) *mappingDoc {
	doc := &mappingDoc{node: root, model: model}
	if !r.CheckFormat(root, FormatMapping) {
		return doc
	}
	r.Object(root, source.Fields{
		"format": func(*source.Node) {},
		"model": func(n *source.Node) {
			if got := r.Name(n); got != model {
				r.Diags.Errorf(n.Pos, "E006-bad-value", "model %q differs from its file's name %q", got, model)
			}
		},
		"resources": func(n *source.Node) {
			r.Members(n, func(resource source.Entry) {
				r.CheckName(resource.Name, resource.Pos)
				r.Members(resource.Value, func(method source.Entry) {
					r.CheckName(method.Name, method.Pos)
					op := readOperation(r, method.Value)
					op.resource, op.method, op.pos = resource.Name, method.Name, method.Pos
					doc.methods = append(doc.methods, op)
				})
			})
		},
	}, "model", "resources")
	return doc
}

func readOperation(r *reader, n *source.Node) *operationDoc {
	op := &operationDoc{node: n, step: stepDoc{name: mainStep}}
	fields := stepFields(r, n, &op.step, requestBindings)
	fields["query_schema"] = func(n *source.Node) { op.querySchema = r.schema(n) }
	fields["request_body_schema"] = func(n *source.Node) { op.bodySchema = r.schema(n) }
	fields["response_mapping"] = func(n *source.Node) { op.response = r.TypedExpr(n, jsonata.Object, answerBindings...) }
	fields["record"] = func(n *source.Node) { op.record = r.recordPath(n) }
	fields["before"] = func(n *source.Node) { op.before = readSteps(r, n, requestBindings) }
	fields["after"] = func(n *source.Node) { op.after = readSteps(r, n, answerBindings) }
	fields["remote_data_in"] = func(n *source.Node) { op.remoteDataIn = r.bodyPath(n) }
	r.Object(n, fields, "call")
	if op.remoteDataIn != nil && op.step.body == nil {
		r.Diags.Errorf(op.remoteDataIn.Pos, "E005-missing-key", "remote_data_in needs the key \"request_body_mapping\"")
		r.Diags.Hintf("without it, the body is remote_data")
	}
	return op
}

func readSteps(r *reader, n *source.Node, bindings []string) []*stepDoc {
	var out []*stepDoc
	seen := map[string]bool{}
	r.Items(n, func(n *source.Node) {
		step := &stepDoc{}
		fields := stepFields(r, n, step, bindings)
		fields["name"] = func(n *source.Node) {
			step.name = r.Name(n)
			if seen[step.name] {
				r.Diags.Errorf(n.Pos, "E002-duplicate-key", "step %q occurs twice", step.name)
			}
			seen[step.name] = true
		}
		fields["run_if"] = func(n *source.Node) { step.runIf = r.TypedExpr(n, jsonata.Boolean, bindings...) }
		r.Object(n, fields, "name", "call")
		out = append(out, step)
	})
	return out
}

func stepFields(r *reader, parent *source.Node, step *stepDoc, bindings []string) source.Fields {
	return source.Fields{
		"call":           func(n *source.Node) { r.String(n); step.call = n },
		"path_variables": func(n *source.Node) { step.pathVariables = readParamList(r, n, bindings) },
		"query_mapping":  func(n *source.Node) { step.query = r.TypedExpr(n, jsonata.Object, bindings...) },
		"request_body_mapping": func(n *source.Node) {
			step.body = r.TypedExpr(n, jsonata.Parts, bindings...)
			step.bodyPos = parent.KeyPos("request_body_mapping")
		},
	}
}

// schema returns n, a JSON Schema; nil if it is not an object, which is reported.
func (r *reader) schema(n *source.Node) *source.Node {
	if !r.Is(n, source.Object) {
		return nil
	}
	return n
}

// recordPath returns n, a path of names joined by dots that begins with response or after; nil
// if it is invalid, which is reported.
func (r *reader) recordPath(n *source.Node) *source.Node {
	path := r.String(n)
	first, _, _ := strings.Cut(path, ".")
	if first != "response" && first != "after" || strings.ContainsAny(path, " []()`'\"$") || strings.Contains(path+".", "..") {
		r.Diags.Errorf(n.Pos, "E006-bad-value", "record %q is not a path of names that begins with response or after", path)
		return nil
	}
	return n
}

var bodyPath = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// bodyPath returns n, a path of names joined by dots; nil if it is invalid, which is reported.
func (r *reader) bodyPath(n *source.Node) *source.Node {
	path := r.String(n)
	switch {
	case n.Kind != source.Scalar || n.Type == "null" || n.Type == "boolean": // reported by String
		return nil
	case !bodyPath.MatchString(path):
		r.Diags.Errorf(n.Pos, "E006-bad-value", "%q is not a path of names joined by dots", path)
		return nil
	}
	return n
}
