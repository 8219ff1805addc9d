package schemas

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"

	"portolan/plain"
)

//go:embed */*.json
var modelFiles embed.FS

//go:embed *.schema.json
var editorFiles embed.FS

// Models are the unified methods by "model.resource.method": "ticketing.users.update".
type Models map[string]Method

// Method is the contract of one unified method. A schema is plain JSON with json.Number,
// nil if the method has no such part.
type Method struct {
	Request  map[string]any // the body
	Query    map[string]any // the method's query parameters, decoded
	Response map[string]any // the unified record
	Order    []string       // the record's fields in their documented order
}

// Unified returns the contracts of all unified methods. The caller may modify the result. An
// error means that an embedded file is broken.
func Unified() (Models, error) {
	return readModels(modelFiles)
}

func readModels(files fs.FS) (Models, error) {
	names, err := fs.Glob(files, "*/*.json")
	if err != nil {
		return nil, fmt.Errorf("list models: %w", err)
	}
	models := Models{}
	for _, name := range names {
		if strings.HasPrefix(name, "admin/") { // not a model: Admin reads it
			continue
		}
		key, part, ok := modelKey(name)
		if !ok {
			return nil, fmt.Errorf("%s: name is not <model>/<resource>.<method>.<part>.json", name)
		}
		source, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read model: %w", err)
		}
		schema, err := decodeObject(source)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		m := models[key]
		switch part {
		case "request":
			m.Request = schema
		case "query":
			m.Query = schema
		case "response":
			m.Response = schema
			if m.Order, err = propertyOrder(source); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		default:
			return nil, fmt.Errorf("%s: part %q is not one of request, query, response", name, part)
		}
		models[key] = m
	}
	return models, nil
}

// modelKey splits ticketing/users.update.request.json into ticketing.users.update and request.
func modelKey(file string) (key, part string, ok bool) {
	model, name, _ := strings.Cut(file, "/")
	words := strings.Split(strings.TrimSuffix(name, ".json"), ".")
	if len(words) != 3 {
		return "", "", false
	}
	return model + "." + words[0] + "." + words[1], words[2], true
}

func decodeObject(source []byte) (map[string]any, error) {
	out, err := plain.DecodeObject(source, plain.Options{})
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	return out, nil
}

// propertyOrder returns the names under a schema's "properties" in their written order.
func propertyOrder(source []byte) ([]string, error) {
	properties, err := members(source)
	if err != nil {
		return nil, err
	}
	for _, p := range properties {
		if p.name != "properties" {
			continue
		}
		fields, err := members(p.value)
		if err != nil {
			return nil, err
		}
		order := make([]string, len(fields))
		for i, f := range fields {
			order[i] = f.name
		}
		return order, nil
	}
	return nil, nil
}

type member struct {
	name  string
	value json.RawMessage
}

func members(object []byte) ([]member, error) {
	d := json.NewDecoder(bytes.NewReader(object))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, fmt.Errorf("want an object, got %v", open)
	}
	var out []member
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("decode: %w", err)
		}
		m := member{name: name.(string)} // a key is always a string
		if err := d.Decode(&m.value); err != nil {
			return nil, fmt.Errorf("decode: %w", err)
		}
		out = append(out, m)
	}
	return out, nil
}

// Editor returns the draft-07 schema of a YAML format, for editors: "integration", "mapping"
// or "sandbox". Any other name is an error.
func Editor(name string) ([]byte, error) {
	source, err := editorFiles.ReadFile(name + ".schema.json")
	if err != nil {
		return nil, fmt.Errorf("no editor schema %q: %w", name, err)
	}
	return source, nil
}
