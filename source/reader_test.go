package source_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/source"
)

// read reads src and returns r's findings.
func read(t *testing.T, src string, hide bool, with func(*source.Reader, *source.Node)) []string {
	t.Helper()
	var found source.Diagnostics
	root := source.ParseYAML("x.yaml", []byte(src), &found)
	if root == nil {
		t.Fatal(found)
	}
	with(&source.Reader{Diags: &found, HideValues: hide}, root)
	return lines(found)
}

func TestReaderFindings(t *testing.T) {
	object := func(r *source.Reader, n *source.Node) {
		r.Object(n, source.Fields{"name": func(*source.Node) {}, "path": func(*source.Node) {}}, "name")
	}
	oneOf := func(r *source.Reader, n *source.Node) { r.OneOf(n, "get", "put") }
	format := func(r *source.Reader, n *source.Node) { r.CheckFormat(n, "portolan/x/v1") }
	for name, tt := range map[string]struct {
		src    string
		with   func(*source.Reader, *source.Node)
		want   string // "" if nothing is found
		hidden string // want with HideValues, if that differs
	}{
		"object":           {src: "{name: a, path: b}", with: object},
		"missing key":      {src: "{path: b}", with: object, want: `1:1: E005-missing-key: key "name" is missing`},
		"misspelt key":     {src: "{name: a, pth: b}", with: object, want: `1:11: E012-unknown-key: unknown key "pth" (did you mean "path"?)`},
		"unknown key":      {src: "{name: a, zzz: b}", with: object, want: `1:11: E012-unknown-key: unknown key "zzz" (known keys: name, path)`},
		"no object":        {src: "[a]", with: object, want: "1:1: E004-wrong-type: want an object, got a list"},
		"nothing":          {src: "---\n", with: object, want: "2:1: E004-wrong-type: want an object, got nothing"},
		"refused":          {src: "&x [a]", with: object, want: "1:1: " + anchors},
		"members":          {src: "a", with: func(r *source.Reader, n *source.Node) { r.Members(n, nil) }, want: "1:1: E004-wrong-type: want an object, got a single value"},
		"items":            {src: "{}", with: func(r *source.Reader, n *source.Node) { r.Items(n, nil) }, want: "1:1: E004-wrong-type: want a list, got an object"},
		"text":             {src: "{}", with: func(r *source.Reader, n *source.Node) { r.String(n) }, want: "1:1: E004-wrong-type: want a single value, got an object"},
		"text, null":       {src: "~", with: func(r *source.Reader, n *source.Node) { r.String(n) }, want: "1:1: E004-wrong-type: want text, got nothing"},
		"text, boolean":    {src: "true", with: func(r *source.Reader, n *source.Node) { r.String(n) }, want: "1:1: E004-wrong-type: want text, got boolean (quote it if text is meant)"},
		"one of":           {src: "put", with: oneOf},
		"none of, near":    {src: "pot", with: oneOf, want: `1:1: E006-bad-value: "pot" is not one of get, put (did you mean "put"?)`, hidden: `1:1: E006-bad-value: this value is not one of get, put (did you mean "put"?)`},
		"none of":          {src: "delete", with: oneOf, want: `1:1: E006-bad-value: "delete" is not one of get, put`, hidden: "1:1: E006-bad-value: this value is not one of get, put"},
		"boolean":          {src: "'true'", with: func(r *source.Reader, n *source.Node) { r.Bool(n) }, want: "1:1: E004-wrong-type: want true or false, got string"},
		"boolean, refused": {src: "!!bool true", with: func(r *source.Reader, n *source.Node) { r.Bool(n) }, want: "1:1: E003-unsupported-yaml: tags are not supported (quote text that starts with !)"},
		"octal":            {src: "[0o17]", with: func(r *source.Reader, n *source.Node) { r.JSON(n) }, want: `1:2: E006-bad-value: "0o17" is not a valid JSON number (quote it if text is meant)`, hidden: "1:2: E006-bad-value: this value is not a valid JSON number (quote it if text is meant)"},
		"name":             {src: "a_1", with: func(r *source.Reader, n *source.Node) { r.Name(n) }},
		"no name":          {src: "1a", with: func(r *source.Reader, n *source.Node) { r.Name(n) }, want: `1:1: E006-bad-value: "1a" is not a valid name (lower-case letters, digits and underscores)`, hidden: "1:1: E006-bad-value: this value is not a valid name (lower-case letters, digits and underscores)"},
		"format":           {src: "format: portolan/x/v1", with: format},
		"no format":        {src: "\na: b", with: format, want: `1:1: E010-missing-format: key "format" is missing (start the file with format: portolan/x/v1)`},
		"other format":     {src: "format: portolan/x/v2", with: format, want: `1:9: E011-wrong-format: format is "portolan/x/v2", want "portolan/x/v1"`, hidden: `1:9: E011-wrong-format: format is not "portolan/x/v1"`},
		"format, a list":   {src: "format: [a]", with: format, want: "1:9: E004-wrong-type: want a single value, got a list"},
		"format in a list": {src: "- format", with: format, want: "1:1: E004-wrong-type: want an object, got a list"},
		"format, anchored": {src: "format: &x portolan/x/v2", with: format, want: "1:9: " + anchors},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, strings.Join(read(t, tt.src, false, tt.with), "\n")); diff != "" {
				t.Error(diff)
			}
			if tt.hidden == "" {
				tt.hidden = tt.want
			}
			if diff := cmp.Diff(tt.hidden, strings.Join(read(t, tt.src, true, tt.with), "\n")); diff != "" {
				t.Errorf("with HideValues: %s", diff)
			}
		})
	}
}

func TestReaderValues(t *testing.T) {
	const src = "text: a\nnumber: 1_0\ndigits: 007\nyes: True\nno: false\nint: -5\n" +
		"json: {a: [1, 1.50, 9007199254740993, x, true, FALSE, null, 2026-01-02, '1'], b: {}, c: []}\n"
	found := read(t, src, false, func(r *source.Reader, n *source.Node) {
		for key, want := range map[string]string{"text": "a", "number": "1_0", "digits": "007", "int": "-5"} {
			if got := r.String(n.Get(key)); got != want {
				t.Errorf("%s: want %q, got %q", key, want, got)
			}
		}
		if !r.Bool(n.Get("yes")) || r.Bool(n.Get("no")) {
			t.Error("wrong booleans")
		}
		want := map[string]any{
			"a": []any{json.Number("1"), json.Number("1.50"), json.Number("9007199254740993"), "x", true, false, nil, "2026-01-02", "1"},
			"b": map[string]any{}, "c": []any{},
		}
		if diff := cmp.Diff(want, r.JSON(n.Get("json"))); diff != "" {
			t.Error(diff)
		}
		var names, items []string
		r.Members(n, func(e source.Entry) { names = append(names, e.Name) })
		r.Items(n.Get("json").Get("a"), func(n *source.Node) { items = append(items, n.Text) })
		if diff := cmp.Diff("text number digits yes no int json; 1 1.50 9007199254740993 x true FALSE null 2026-01-02 1", strings.Join(names, " ")+"; "+strings.Join(items, " ")); diff != "" {
			t.Error(diff)
		}
	})
	if len(found) > 0 {
		t.Error(found)
	}
}
