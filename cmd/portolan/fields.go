package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"portolan/plain"
)

// fieldFlags give an account's credentials and settings.
type fieldFlags struct {
	Field      []string `sep:"none" placeholder:"NAME=VALUE" help:"A credential or setting, of which there may be many. NAME=- reads the value from a line of standard input: secrets belong there, the process list shows the command line."`
	FieldsFile string   `placeholder:"FILE" help:"Credentials and settings as a JSON object; - is standard input."`
}

// read gives the fields; nil where none is given. Its errors show no value.
func (f fieldFlags) read(p *process) (map[string]any, error) {
	fields, err := f.readFile(p)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewReader(p.stdin)
	for i, given := range f.Field {
		name, value, ok := strings.Cut(given, "=")
		if !ok || name == "" {
			return nil, usagef("--field: number %d is neither NAME=VALUE nor NAME=-", i+1)
		}
		if _, twice := fields[name]; twice {
			return nil, usagef("field %q is given twice", name)
		}
		if value == "-" {
			if f.FieldsFile == "-" {
				return nil, usagef("standard input cannot be both --fields-file and the value of %q", name)
			}
			if value, err = line(lines); err != nil {
				return nil, usagef("value of %q: %w", name, err)
			}
		}
		if fields == nil {
			fields = map[string]any{}
		}
		fields[name] = value
	}
	return fields, nil
}

func (f fieldFlags) readFile(p *process) (map[string]any, error) {
	if f.FieldsFile == "" {
		return nil, nil
	}
	src, err := p.readInput(f.FieldsFile)
	if err != nil {
		return nil, usagef("--fields-file: %w", err)
	}
	fields, err := plain.DecodeObject(src, plain.Options{})
	if err != nil { // whose text may show a character of a secret
		return nil, usagef("--fields-file: %s is no JSON object", f.FieldsFile)
	}
	return fields, nil
}

// line reads one line of standard input.
func line(r *bufio.Reader) (string, error) {
	text, err := r.ReadString('\n')
	if err != nil && text == "" {
		return "", fmt.Errorf("standard input has no line for it: %w", err)
	}
	return strings.TrimRight(text, "\r\n"), nil
}

// readInput reads a file; - is standard input.
func (p *process) readInput(name string) ([]byte, error) {
	if name == "-" {
		src, err := io.ReadAll(p.stdin)
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		return src, nil
	}
	return os.ReadFile(name) //nolint:gosec // G304: the caller names the file
}

// overrideFlags lay expressions over methods.
type overrideFlags struct {
	Override []string `sep:"none" placeholder:"METHOD=FILE" help:"Lay the expressions of a JSON file over a method, of which there may be many: {\"response_mapping\": ...}. METHOD= takes an override away."`
}

// lay puts the files' overrides over those that are there, which it may be given as nil.
func (f overrideFlags) lay(over map[string]any) (map[string]any, error) {
	if over == nil {
		over = map[string]any{}
	}
	for _, given := range f.Override {
		method, file, ok := strings.Cut(given, "=")
		if !ok || method == "" {
			return nil, usagef("--override: %q is not METHOD=FILE", given)
		}
		if file == "" {
			delete(over, method)
			continue
		}
		src, err := os.ReadFile(file) //nolint:gosec // G304: the caller names the file
		if err != nil {
			return nil, usagef("--override: %w", err)
		}
		expressions, err := plain.DecodeObject(src, plain.Options{})
		if err != nil {
			return nil, usagef("--override: %s is no JSON object", file)
		}
		over[method] = expressions
	}
	return over, nil
}
