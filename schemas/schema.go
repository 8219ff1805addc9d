package schemas

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"portolan/plain"
)

const (
	draft2020 = "https://json-schema.org/draft/2020-12/schema"
	draft2019 = "https://json-schema.org/draft/2019-09/schema"
	draft07   = "http://json-schema.org/draft-07/schema"

	// rootURL is the library's URL of the schema being compiled.
	rootURL = "mem:///schema"

	maxSchemaBytes = 1 << 20
)

// Schema is a compiled JSON Schema. It is immutable and safe for concurrent use.
type Schema struct {
	root  *jsonschema.Schema
	index index
	fast  *fastValidator
}

// CompileError lists the mistakes of a schema that does not compile.
type CompileError struct {
	Name     string // as given to Compile
	Problems []Problem
}

// Problem is one mistake in a schema.
type Problem struct {
	Pointer string // RFC 6901, into the schema; empty for the whole schema
	Message string // one lower-case sentence
}

// Error returns "name: pointer: message", the problems joined by semicolons.
func (e *CompileError) Error() string {
	texts := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		texts[i] = p.Message
		if p.Pointer != "" {
			texts[i] = p.Pointer + ": " + p.Message
		}
	}
	return e.Name + ": " + strings.Join(texts, "; ")
}

// Compile compiles schema, a plain JSON value (an object or a boolean), as JSON Schema
// 2020-12, or as the draft in its $schema (2019-09, draft-07). Formats are asserted, keywords
// that start with x- are ignored, and references must point into the schema itself. schema
// is copied. The error is a *CompileError, which contains name.
func Compile(name string, schema any) (*Schema, error) {
	source, doc, problems := plainSchema(schema)
	if len(problems) == 0 {
		problems = checkSchema(doc)
	}
	if len(problems) > 0 {
		return nil, &CompileError{Name: name, Problems: problems}
	}
	root, err := compile(rootURL, source)
	if err != nil {
		return nil, &CompileError{Name: name, Problems: explain(err, doc)}
	}
	return &Schema{root: root, index: newIndex(root), fast: newFastValidator(root)}, nil
}

// plainSchema returns schema's JSON text and a copy of it as plain JSON.
func plainSchema(schema any) (source []byte, doc any, problems []Problem) {
	source, err := plain.Append(nil, schema)
	if err != nil {
		return nil, nil, []Problem{{Message: fmt.Sprintf("not plain JSON: %v", err)}}
	}
	if len(source) > maxSchemaBytes {
		return nil, nil, []Problem{{Message: fmt.Sprintf("larger than %d bytes", maxSchemaBytes)}}
	}
	copied, err := plain.Decode(source, plain.Options{Lenient: true}) // checkSchema reports numbers out of range
	if err != nil {
		return nil, nil, []Problem{{Message: fmt.Sprintf("not plain JSON: %v", err)}}
	}
	doc = copied.Value
	if object, ok := doc.(map[string]any); ok && object["$id"] != nil {
		delete(object, "$id") // it would change the meaning of references
		if source, err = plain.Append(nil, object); err != nil {
			return nil, nil, []Problem{{Message: fmt.Sprintf("not plain JSON: %v", err)}}
		}
	}
	return source, doc, nil
}

// compile runs the library, which panics on some hostile schemas.
func compile(url string, source []byte) (_ *jsonschema.Schema, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the schema cannot be compiled: %v", r)
		}
	}()
	c := jsonschema.NewCompiler()
	c.Draft = jsonschema.Draft2020
	c.AssertFormat = true
	c.LoadURL = func(url string) (io.ReadCloser, error) {
		return nil, fmt.Errorf("%s is outside the schema", url)
	}
	if source != nil {
		if err := c.AddResource(url, bytes.NewReader(source)); err != nil {
			return nil, fmt.Errorf("add schema: %w", err)
		}
	}
	return c.Compile(url)
}

// explain converts the library's error about doc into problems.
func explain(err error, doc any) []Problem {
	invalid, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return []Problem{{Message: withoutURL(err.Error())}}
	}
	meta, metaErr := compile(draftOf(doc), nil)
	if metaErr != nil {
		return []Problem{{Message: withoutURL(metaErr.Error())}}
	}
	var problems []Problem
	for _, v := range violations(invalid, newIndex(meta), doc) {
		problems = append(problems, Problem{Pointer: v.Pointer, Message: v.Message})
	}
	return problems
}

func withoutURL(text string) string {
	text = strings.TrimPrefix(text, "jsonschema "+rootURL+" compilation failed: ")
	return strings.ReplaceAll(strings.TrimPrefix(text, "jsonschema: "), rootURL, "")
}

func draftOf(doc any) string {
	if object, ok := doc.(map[string]any); ok {
		if draft, ok := object["$schema"].(string); ok {
			return draft
		}
	}
	return draft2020
}
