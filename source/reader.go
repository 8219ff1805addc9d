package source

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Reader converts Nodes into values and collects every problem. Its methods return the zero
// value for a Node that they refuse, so that reading goes on.
type Reader struct {
	Diags *Diagnostics

	// HideValues keeps the file's values, which may be secrets, out of messages and hints.
	// The names of keys are still shown.
	HideValues bool
}

// quote returns a value of the file as a message may show it.
func (r *Reader) quote(value string) string {
	if r.HideValues {
		return "this value"
	}
	return strconv.Quote(value)
}

// Fields holds a function for each member that an object may have.
type Fields map[string]func(*Node)

// Object calls the function of every member of n. It reports members without a function as
// unknown keys, and absent members of required at n.
func (r *Reader) Object(n *Node, fields Fields, required ...string) {
	if !r.Is(n, Object) {
		return
	}
	known := make([]string, 0, len(fields))
	for name := range fields {
		known = append(known, name)
	}
	slices.Sort(known)
	for _, e := range n.Entries {
		if read, ok := fields[e.Name]; ok {
			read(e.Value)
			continue
		}
		r.UnknownKey(e, known)
	}
	for _, name := range required {
		if n.Get(name) == nil {
			r.Diags.Errorf(n.Pos, "E005-missing-key", "key %q is missing", name)
		}
	}
}

// UnknownKey reports that e is not one of the known names.
func (r *Reader) UnknownKey(e Entry, known []string) {
	r.Diags.Errorf(e.Pos, "E012-unknown-key", "unknown key %q", e.Name)
	if !r.Diags.Suggest(e.Name, known) {
		r.Diags.Hintf("known keys: %s", strings.Join(known, ", "))
	}
}

// Members calls read for every member of n, whatever its name.
func (r *Reader) Members(n *Node, read func(Entry)) {
	if r.Is(n, Object) {
		for _, e := range n.Entries {
			read(e)
		}
	}
}

// Items calls read for every item of the list n.
func (r *Reader) Items(n *Node, read func(*Node)) {
	if r.Is(n, List) {
		for _, item := range n.Items {
			read(item)
		}
	}
}

// String returns n's text. n must be text or a number.
func (r *Reader) String(n *Node) string {
	if !r.Is(n, Scalar) {
		return ""
	}
	switch n.Type {
	case "null":
		r.Diags.Errorf(n.Pos, "E004-wrong-type", "want text, got nothing")
		return ""
	case "boolean":
		r.Diags.Errorf(n.Pos, "E004-wrong-type", "want text, got boolean")
		r.Diags.Hintf("quote it if text is meant")
		return ""
	default:
		return n.Text
	}
}

// OneOf returns n's text, which must be one of allowed.
func (r *Reader) OneOf(n *Node, allowed ...string) string {
	s := r.String(n)
	if s == "" || slices.Contains(allowed, s) {
		return s
	}
	r.Diags.Errorf(n.Pos, "E006-bad-value", "%s is not one of %s", r.quote(s), strings.Join(allowed, ", "))
	r.Diags.Suggest(s, allowed)
	return ""
}

// Bool returns n as true or false.
func (r *Reader) Bool(n *Node) bool {
	if r.Is(n, Scalar) && n.Type != "boolean" {
		r.Diags.Errorf(n.Pos, "E004-wrong-type", "want true or false, got %s", n.Type)
	}
	return n.Type == "boolean" && strings.EqualFold(n.Text, "true")
}

// JSON returns n as plain JSON: nil, bool, string, json.Number, []any, map[string]any.
func (r *Reader) JSON(n *Node) any {
	switch n.Kind {
	case Object:
		out := make(map[string]any, len(n.Entries))
		for _, e := range n.Entries {
			out[e.Name] = r.JSON(e.Value)
		}
		return out
	case List:
		out := make([]any, 0, len(n.Items))
		for _, item := range n.Items {
			out = append(out, r.JSON(item))
		}
		return out
	default:
		return r.scalar(n)
	}
}

func (r *Reader) scalar(n *Node) any {
	switch n.Type {
	case "null":
		return nil
	case "boolean":
		return strings.EqualFold(n.Text, "true")
	case "integer", "number":
		if !json.Valid([]byte(n.Text)) {
			r.Diags.Errorf(n.Pos, "E006-bad-value", "%s is not a valid JSON number", r.quote(n.Text))
			r.Diags.Hintf("quote it if text is meant")
		}
		return json.Number(n.Text)
	default:
		return n.Text
	}
}

// Is returns whether n is of the kind want, and reports a problem if it is not. A Node that
// ParseYAML refused is of no kind and is not reported again.
func (r *Reader) Is(n *Node, want NodeKind) bool {
	if n.refused {
		return false
	}
	if n.Kind == want {
		return true
	}
	got := n.Kind.String()
	if n.Type == "null" {
		got = "nothing"
	}
	r.Diags.Errorf(n.Pos, "E004-wrong-type", "want %s, got %s", want, got)
	return false
}

// CheckFormat returns whether root is an object that can be read as the format want, and
// reports a problem if its `format` is missing or another one. Only a missing format still
// returns true.
func (r *Reader) CheckFormat(root *Node, want string) bool {
	if !r.Is(root, Object) {
		return false
	}
	format := root.Get("format")
	switch {
	case format == nil:
		r.Diags.Errorf(Pos{File: root.Pos.File, Line: 1, Col: 1}, "E010-missing-format", "key %q is missing", "format")
		r.Diags.Hintf("start the file with format: %s", want)
		return true // the other keys can still be checked
	case !r.Is(format, Scalar):
		return false
	case format.Text != want:
		if r.HideValues {
			r.Diags.Errorf(format.Pos, "E011-wrong-format", "format is not %q", want)
		} else {
			r.Diags.Errorf(format.Pos, "E011-wrong-format", "format is %q, want %q", format.Text, want)
		}
		return false
	default:
		return true
	}
}

var nameRule = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// Name returns n's text, which must be a name: lower-case letters, digits, underscores.
func (r *Reader) Name(n *Node) string {
	return r.CheckName(r.String(n), n.Pos)
}

// CheckName returns name, which is at pos and must follow the rule of Name.
func (r *Reader) CheckName(name string, pos Pos) string {
	if name != "" && !nameRule.MatchString(name) {
		r.Diags.Errorf(pos, "E006-bad-value", "%s is not a valid name", r.quote(name))
		r.Diags.Hintf("lower-case letters, digits and underscores")
	}
	return name
}
