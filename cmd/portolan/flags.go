package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net/url"
	"os"
	"strconv"
	"strings"

	"portolan/plain"
)

// environmentFlag selects the environment of a command.
type environmentFlag struct {
	Environment string `default:"default" placeholder:"NAME" help:"Environment to work in."`
}

// pageFlags select a page of a list.
type pageFlags struct {
	Limit  int    `placeholder:"N" help:"Entries per page: 50 by default, at most 500."`
	Cursor string `help:"Cursor of the page, as printed after the previous page."`
}

func (f pageFlags) query() url.Values {
	q := url.Values{}
	if f.Limit != 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	set(q, "cursor", f.Cursor)
	return q
}

// set adds a parameter to a query unless its value is "".
func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

// fieldFlags set credentials and settings of an account.
type fieldFlags struct {
	Field      []string `sep:"none" placeholder:"NAME=VALUE" help:"Credential or setting; repeatable. NAME=- reads the value from a line of standard input: use it for secrets, because the process list shows the command line."`
	FieldsFile string   `placeholder:"FILE" help:"Credentials and settings as a JSON object; - reads standard input."`
}

// read returns the fields; nil if there are none. Its errors show no value.
func (f fieldFlags) read(p *process) (map[string]any, error) {
	fields, err := f.readFile(p)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewReader(p.stdin)
	for i, field := range f.Field {
		name, value, ok := strings.Cut(field, "=")
		if !ok || name == "" {
			return nil, usagef("--field: number %d is neither NAME=VALUE nor NAME=-", i+1)
		}
		if _, twice := fields[name]; twice {
			return nil, usagef("--field: %q is set twice", name)
		}
		if value == "-" {
			if f.FieldsFile == "-" {
				return nil, usagef("standard input cannot be both --fields-file and the value of %q", name)
			}
			if value, err = line(lines); err != nil {
				return nil, usagef("--field: value of %q: %w", name, err)
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
	if err != nil { // its text may show a character of a secret
		return nil, usagef("--fields-file: %s is not a JSON object", f.FieldsFile)
	}
	return fields, nil
}

// line reads one line of standard input.
func line(r *bufio.Reader) (string, error) {
	text, err := r.ReadString('\n')
	if err != nil && text == "" {
		return "", fmt.Errorf("read a line of standard input: %w", err)
	}
	return strings.TrimRight(text, "\r\n"), nil
}

// readInput reads a file; - is standard input.
func (p *process) readInput(name string) ([]byte, error) {
	if name != "-" {
		return os.ReadFile(name) //nolint:gosec // G304: the caller names the file
	}
	src, err := io.ReadAll(p.stdin)
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	return src, nil
}

// overrideFlags set the overrides of methods.
type overrideFlags struct {
	Override []string `sep:"none" placeholder:"METHOD=FILE" help:"Override the expressions of a method with those of a JSON file, such as {\"response_mapping\": ...}; repeatable. METHOD= removes an override."`
}

// apply changes overrides, which may be nil, as the flags say and returns them.
func (f overrideFlags) apply(overrides map[string]any) (map[string]any, error) {
	if overrides == nil {
		overrides = map[string]any{}
	}
	for _, override := range f.Override {
		method, file, ok := strings.Cut(override, "=")
		if !ok || method == "" {
			return nil, usagef("--override: %q is not METHOD=FILE", override)
		}
		if file == "" {
			delete(overrides, method)
			continue
		}
		src, err := os.ReadFile(file) //nolint:gosec // G304: the caller names the file
		if err != nil {
			return nil, usagef("--override: %w", err)
		}
		expressions, err := plain.DecodeObject(src, plain.Options{})
		if err != nil {
			return nil, usagef("--override: %s is not a JSON object", file)
		}
		overrides[method] = expressions
	}
	return overrides, nil
}

// byteSize is a number of bytes, written as 4096, 64KiB, 1MiB or 2GiB.
type byteSize int64

// UnmarshalText parses a size.
func (s *byteSize) UnmarshalText(text []byte) error {
	number, unit := string(text), int64(1)
	for suffix, bytes := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if n, ok := strings.CutSuffix(number, suffix); ok {
			number, unit = n, bytes
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64/unit {
		return fmt.Errorf("%q is not a valid size, such as 4096, 64KiB or 1MiB", text)
	}
	*s = byteSize(n * unit)
	return nil
}
