package engine

import (
	"slices"
	"strings"
)

var (
	requestBindings = []string{"body", "query", "rawQuery", "context", "id", "before"}
	answerBindings  = append(slices.Clip(requestBindings), "response", "headers", "status", "after")
)

func readMapping(r *Reader, root *Node, model string) *mappingDoc {
	doc := &mappingDoc{node: root, model: model}
	if !r.CheckFormat(root, FormatMapping) {
		return doc
	}
	r.Object(root, Fields{
		"format": func(*Node) {},
		"model": func(n *Node) {
			if got := r.Name(n); got != model {
				r.Diags.Errorf(n.Pos, "E006-bad-value", "model %q differs from its file's name %q", got, model)
			}
		},
		"resources": func(n *Node) {
			r.Members(n, func(resource Entry) {
				r.checkName(resource.Name, resource.Pos)
				r.Members(resource.Value, func(method Entry) {
					r.checkName(method.Name, method.Pos)
					op := readOperation(r, method.Value)
					op.resource, op.method, op.pos = resource.Name, method.Name, method.Pos
					doc.methods = append(doc.methods, op)
				})
			})
		},
	}, "model", "resources")
	return doc
}

func readOperation(r *Reader, n *Node) *operationDoc {
	op := &operationDoc{node: n, step: stepDoc{name: mainCall}}
	fields := stepFields(r, n, &op.step, requestBindings)
	fields["query_schema"] = func(n *Node) { op.querySchema = r.schema(n) }
	fields["request_body_schema"] = func(n *Node) { op.bodySchema = r.schema(n) }
	fields["response_mapping"] = func(n *Node) { op.response = r.Expr(n, answerBindings...) }
	fields["record"] = func(n *Node) { op.record = r.recordPath(n) }
	fields["before"] = func(n *Node) { op.before = readSteps(r, n, requestBindings) }
	fields["after"] = func(n *Node) { op.after = readSteps(r, n, answerBindings) }
	r.Object(n, fields, "call")
	return op
}

func readSteps(r *Reader, n *Node, bindings []string) []*stepDoc {
	var out []*stepDoc
	seen := map[string]bool{}
	r.Items(n, func(n *Node) {
		step := &stepDoc{}
		fields := stepFields(r, n, step, bindings)
		fields["name"] = func(n *Node) {
			step.name = r.Name(n)
			if seen[step.name] {
				r.Diags.Errorf(n.Pos, "E002-duplicate-key", "step %q occurs twice", step.name)
			}
			seen[step.name] = true
		}
		fields["run_if"] = func(n *Node) { step.runIf = r.Expr(n, bindings...) }
		r.Object(n, fields, "name", "call")
		out = append(out, step)
	})
	return out
}

func stepFields(r *Reader, parent *Node, step *stepDoc, bindings []string) Fields {
	return Fields{
		"call":           func(n *Node) { r.String(n); step.call = n },
		"path_variables": func(n *Node) { step.pathVariables = readParamList(r, n, bindings) },
		"query_mapping":  func(n *Node) { step.query = r.Expr(n, bindings...) },
		"request_body_mapping": func(n *Node) {
			step.body = r.Expr(n, bindings...)
			for _, e := range parent.Entries {
				if e.Value == n {
					step.bodyPos = e.Pos
				}
			}
		},
	}
}

// schema keeps n, a JSON Schema; what is no object is reported.
func (r *Reader) schema(n *Node) *Node {
	if !r.kind(n, Object) {
		return nil
	}
	return n
}

// recordPath keeps n, a plain path to the provider's record: names joined by dots, the
// first of them response or after.
func (r *Reader) recordPath(n *Node) *Node {
	path := r.String(n)
	first, _, _ := strings.Cut(path, ".")
	if first != "response" && first != "after" || strings.ContainsAny(path, " []()`'\"$") || strings.Contains(path+".", "..") {
		r.Diags.Errorf(n.Pos, "E006-bad-value", "record %q is no plain path into response or after", path)
		return nil
	}
	return n
}
