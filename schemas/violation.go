package schemas

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"portolan/plain"
	"portolan/source"
)

// The codes of a Violation. The set is closed.
const (
	CodeRequired   = "required"   // required, dependentRequired
	CodeType       = "type"       // type
	CodeEnum       = "enum"       // enum, const, not over one of them
	CodeFormat     = "format"     // format, pattern, propertyNames, other kinds of not, several matches of oneOf
	CodeRange      = "range"      // minimum, maximum and their exclusive forms, multipleOf
	CodeLength     = "length"     // min… and max… of Length, Items, Properties and Contains, uniqueItems
	CodeAdditional = "additional" // additionalProperties, unevaluatedProperties, false
)

// Violation is one way in which a value breaks a schema.
type Violation struct {
	Pointer string // RFC 6901, to the value or to the missing or unknown member
	Code    string
	Message string // one lower-case sentence that starts with the place; never holds a value
	Allowed []any  // CodeEnum only: the allowed values; nil if there is no list
}

// MaxViolations is the maximum number of violations that Validate returns.
const MaxViolations = 1000

// Validate returns the violations of v, sorted by pointer, none if v is valid. Of more than
// MaxViolations it returns that many, always the same ones. v is plain JSON and is not modified. A value that
// is not plain JSON, NaN and the infinities included, is a CodeType violation, unless the
// schema allows anything there.
func (s *Schema) Validate(v any) []Violation {
	if s.fast.valid(v) {
		return nil
	}
	left := MaxViolations
	if shorter, cut := s.fast.shorten(v, &left); cut {
		if found := s.violations(shorter); len(found) > 0 {
			return found
		}
	}
	return s.violations(v)
}

// violations is Validate by the library alone.
func (s *Schema) violations(v any) []Violation {
	err := validate(s.root, v)
	if err == nil {
		return nil
	}
	if invalid, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		return violations(invalid, s.index, v)
	}
	if at, ok := notJSON(v, ""); ok {
		return []Violation{{Pointer: at, Code: CodeType, Message: subject(at) + " must be a JSON value"}}
	}
	// The schema refers to itself endlessly.
	return []Violation{{Code: CodeType, Message: subject("") + " cannot be checked: " + withoutURL(err.Error())}}
}

// validate runs the library, which panics on numbers without a finite value.
func validate(s *jsonschema.Schema, v any) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("a number is out of range")
		}
	}()
	return s.Validate(v)
}

// notJSON finds the first part of v that is not plain JSON.
func notJSON(v any, at string) (pointer string, found bool) {
	switch v := v.(type) {
	case nil, bool, string:
		return "", false
	case float64:
		return at, math.IsInf(v, 0) || math.IsNaN(v)
	case json.Number:
		_, ok := new(big.Rat).SetString(string(v))
		return at, !ok
	case []any:
		for i, item := range v {
			if p, bad := notJSON(item, at+"/"+strconv.Itoa(i)); bad {
				return p, true
			}
		}
		return "", false
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if p, bad := notJSON(v[name], at+"/"+plain.EscapeToken(name)); bad {
				return p, true
			}
		}
		return "", false
	default:
		return at, true
	}
}

// finding is a Violation with the names in its message, by which alternatives merges
// findings.
type finding struct {
	Violation
	names []string // the expected types, or the missing property
}

func violations(err *jsonschema.ValidationError, x index, v any) []Violation {
	r := reporter{index: x, value: v}
	found := tidy(r.collect(err, false))
	if len(found) == 0 { // an error must not pass as valid
		found = one("", CodeFormat, "does not match the schema")
	}
	out := make([]Violation, len(found))
	for i, f := range found {
		out[i] = f.Violation
	}
	return out
}

// tidy sorts findings and drops repetitions; the library iterates over maps.
func tidy(found []finding) []finding {
	slices.SortFunc(found, func(a, b finding) int {
		return cmp.Or(strings.Compare(a.Pointer, b.Pointer), strings.Compare(a.Code, b.Code), strings.Compare(a.Message, b.Message))
	})
	return slices.CompactFunc(found, func(a, b finding) bool {
		return a.Pointer == b.Pointer && a.Code == b.Code && a.Message == b.Message
	})
}

type reporter struct {
	index index
	value any
}

// collect returns the findings of err's leaves, the MaxViolations at the lowest places,
// regardless of the library's map order. names: the invalid value is a property's name.
func (r *reporter) collect(err *jsonschema.ValidationError, names bool) []finding {
	var lowest lowestCauses
	r.gather(err, names, &lowest)
	var out []finding
	for _, c := range lowest.sorted() {
		room := MaxViolations - len(out)
		if room <= 0 {
			break
		}
		found := r.findings(c, room)
		out = append(out, found[:min(len(found), room)]...)
	}
	return out
}

// gather adds the leaves of err to the causes; a failed anyOf or oneOf counts as a leaf.
func (r *reporter) gather(err *jsonschema.ValidationError, names bool, to *lowestCauses) {
	if len(err.Causes) == 0 {
		to.add(cause{err: err, names: names})
		return
	}
	owner, path := r.index.find(err.AbsoluteKeywordLocation)
	names = names || owner.names
	if len(path) == 1 && (path[0] == "minContains" || path[0] == "anyOf" || path[0] == "oneOf") {
		to.add(cause{err: err, names: names})
		return
	}
	for _, inner := range err.Causes {
		r.gather(inner, names, to)
	}
}

// findings returns the findings of one cause, about room of them at most.
func (r *reporter) findings(c cause, room int) []finding {
	owner, path := r.index.find(c.err.AbsoluteKeywordLocation)
	keyword := ""
	if len(path) > 0 {
		keyword = path[0]
	}
	names := c.names || owner.names
	if len(c.err.Causes) > 0 && keyword != "minContains" {
		return r.alternatives(c.err, names)
	}
	at := pointerOf(c.err.InstanceLocation)
	if names {
		return one(at, CodeFormat, "has a name that is not allowed")
	}
	if owner.schema == nil {
		return one(at, CodeFormat, "does not match the schema")
	}
	return r.leaf(owner.schema, keyword, path, at, room)
}

// pointerOf converts the library's instance location, whose tokens are also URL-escaped, to
// an RFC 6901 pointer.
func pointerOf(location string) string {
	tokens := strings.Split(location, "/")
	for i, t := range tokens {
		tokens[i] = unquoteURL(t)
	}
	return strings.Join(tokens, "/")
}

func one(at, code, predicate string) []finding {
	return []finding{{Violation: Violation{Pointer: at, Code: code, Message: subject(at) + " " + predicate}}}
}

// leaf returns how the value at breaks keyword of s, about room findings at most.
func (r *reporter) leaf(s *jsonschema.Schema, keyword string, path []string, at string, room int) []finding {
	switch keyword {
	case "":
		return one(at, CodeAdditional, "is not allowed")
	case "type":
		return []finding{r.wrongType(at, s.Types)}
	case "enum":
		return []finding{notOneOf(at, s.Enum)}
	case "const":
		return []finding{notOneOf(at, s.Constant)}
	case "required":
		return r.missing(at, s.Required)
	case "dependentRequired", "dependencies":
		return r.missing(at, dependents(s, path))
	case "additionalProperties":
		return r.unknown(at, s, room)
	case "format":
		return one(at, CodeFormat, "must be a valid "+s.Format)
	case "pattern":
		return one(at, CodeFormat, "must match the pattern "+clip(s.Pattern.String()))
	case "not":
		if len(s.Not.Enum) > 0 || len(s.Not.Constant) > 0 {
			return one(at, CodeEnum, "has a value that is not allowed")
		}
		return one(at, CodeFormat, "has a form that is not allowed")
	case "oneOf":
		return one(at, CodeFormat, "matches more than one of its alternatives")
	}
	if predicate, ok := rangeMessage(s, keyword); ok {
		return one(at, CodeRange, predicate)
	}
	if predicate, ok := lengthMessage(s, keyword); ok {
		return one(at, CodeLength, predicate)
	}
	return one(at, CodeFormat, "does not match the schema")
}

func dependents(s *jsonschema.Schema, path []string) []string {
	if len(path) < 2 {
		return nil
	}
	if names, ok := s.Dependencies[path[1]].([]string); ok && path[0] == "dependencies" {
		return names
	}
	return s.DependentRequired[path[1]]
}

func (r *reporter) wrongType(at string, want []string) finding {
	value, _ := plain.LookupPointer(r.value, at)
	return finding{names: want, Violation: Violation{Pointer: at, Code: CodeType, Message: typeMessage(at, want, value)}}
}

func notOneOf(at string, allowed []any) finding {
	return finding{Violation: Violation{Pointer: at, Code: CodeEnum, Message: enumMessage(at, allowed), Allowed: slices.Clone(allowed)}}
}

// missing returns a finding for each of names that is not a member of the object at.
func (r *reporter) missing(at string, names []string) []finding {
	object := r.object(at)
	var out []finding
	for _, name := range names {
		if _, ok := object[name]; !ok {
			found := one(at+"/"+plain.EscapeToken(name), CodeRequired, "is required")
			found[0].names = []string{name}
			out = append(out, found...)
		}
	}
	return out
}

// unknown returns a finding for each unknown member of the object at, room at most.
func (r *reporter) unknown(at string, s *jsonschema.Schema, room int) []finding {
	object := r.object(at)
	patterns := slices.Collect(maps.Keys(s.PatternProperties))
	var free []string // known names that object lacks
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if _, used := object[name]; !used {
			free = append(free, name)
		}
	}
	var out []finding
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if len(out) == room {
			break
		}
		isPattern := func(p *regexp.Regexp) bool { return p.MatchString(name) }
		if _, ok := s.Properties[name]; ok || slices.ContainsFunc(patterns, isPattern) {
			continue
		}
		predicate := "is not a known field"
		if len(out) < maxSuggestions {
			if near := source.Nearest(name, free); near != "" {
				predicate += " (did you mean " + strconv.Quote(near) + "?)"
			}
		}
		out = append(out, one(at+"/"+plain.EscapeToken(name), CodeAdditional, predicate)...)
	}
	return out
}

func (r *reporter) object(at string) map[string]any {
	value, _ := plain.LookupPointer(r.value, at)
	object, _ := value.(map[string]any)
	return object
}
