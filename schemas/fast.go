package schemas

import (
	"encoding/json"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"portolan/plain"
)

// fastValidator accepts most valid values without an allocation. It supports a part of JSON
// Schema: a value that it does not accept may still be valid, and the library decides. A nil
// fastValidator accepts nothing.
type fastValidator struct {
	types                  jsonType // the allowed ones; 0 for all
	enum                   []string // the allowed values; nil for all
	format                 func(any) bool
	minLength, maxLength   int // characters; -1: no limit
	minItems, maxItems     int
	minMembers, maxMembers int
	items                  *fastValidator
	hasItems               bool
	members                map[string]*fastValidator
	required               []string
	closed                 bool // no other members
}

// jsonType is a set of JSON types.
type jsonType uint8

const (
	typeNull jsonType = 1 << iota
	typeBoolean
	typeString
	typeNumber
	typeInteger
	typeArray
	typeObject
)

func typesOf(names []string) (set jsonType, ok bool) {
	for _, name := range names {
		i := slices.Index([]string{"null", "boolean", "string", "number", "integer", "array", "object"}, name)
		if i < 0 {
			return 0, false
		}
		set |= 1 << i
	}
	return set, true
}

// supported lists the fields of a library's schema that fastValidator implements, and those
// that do not restrict a value.
var supported = map[string]bool{
	"Location": true, "Draft": true, "Format": true, "Types": true, "Enum": true,
	"MinProperties": true, "MaxProperties": true, "Required": true, "Properties": true, "AdditionalProperties": true,
	"MinItems": true, "MaxItems": true, "Items2020": true, "MinLength": true, "MaxLength": true,
	"ContainsEval": true, "MinContains": true, "MaxContains": true, // no effect without Contains
	"Title": true, "Description": true, "Default": true, "Comment": true, "ReadOnly": true, "WriteOnly": true,
	"Examples": true, "Deprecated": true,
}

func newFastValidator(s *jsonschema.Schema) *fastValidator {
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() && !supported[f.Name] && !v.Field(i).IsZero() {
			return nil
		}
	}
	q := &fastValidator{
		minLength: s.MinLength, maxLength: s.MaxLength, minItems: s.MinItems, maxItems: s.MaxItems,
		minMembers: s.MinProperties, maxMembers: s.MaxProperties, required: s.Required,
	}
	var ok bool
	if q.types, ok = typesOf(s.Types); !ok {
		return nil
	}
	for _, allowed := range s.Enum {
		text, ok := allowed.(string)
		if !ok {
			return nil
		}
		q.enum = append(q.enum, text)
	}
	if s.Format != "" {
		if q.format = jsonschema.Formats[s.Format]; q.format == nil {
			return nil
		}
	}
	switch additional := s.AdditionalProperties.(type) {
	case nil:
	case bool:
		q.closed = !additional
	default:
		return nil
	}
	if s.Items2020 != nil {
		q.items, q.hasItems = newFastValidator(s.Items2020), true
	}
	if len(s.Properties) > 0 {
		q.members = make(map[string]*fastValidator, len(s.Properties))
		for name, member := range s.Properties {
			q.members[name] = newFastValidator(member)
		}
	}
	return q
}

// valid reports whether v is known to be valid. If not, v may still be valid.
func (q *fastValidator) valid(v any) bool {
	if q == nil || q.enum != nil && !q.lists(v) || q.format != nil && !q.format(v) {
		return false
	}
	switch v := v.(type) {
	case nil:
		return q.allows(typeNull)
	case bool:
		return q.allows(typeBoolean)
	case string:
		return q.allows(typeString) && q.validText(v)
	case json.Number:
		return q.validNumber(string(v))
	case float64:
		return q.allows(typeNumber) && !math.IsNaN(v) && !math.IsInf(v, 0)
	case []any:
		return q.allows(typeArray) && q.validArray(v)
	case map[string]any:
		return q.allows(typeObject) && q.validObject(v)
	default:
		return false
	}
}

func (q *fastValidator) allows(t jsonType) bool { return q.types == 0 || q.types&t != 0 }

func (q *fastValidator) lists(v any) bool {
	text, ok := v.(string)
	return ok && slices.Contains(q.enum, text)
}

func (q *fastValidator) validText(s string) bool {
	if q.minLength <= 0 && q.maxLength < 0 {
		return true
	}
	n := utf8.RuneCountInString(s)
	return n >= q.minLength && (q.maxLength < 0 || n <= q.maxLength)
}

// maxFastDigits is the maximum length of a number that is validated without the library.
const maxFastDigits = 300

func (q *fastValidator) validNumber(n string) bool {
	whole := strings.Trim(n, "-0123456789") == ""
	if len(n) > maxFastDigits || !plain.IsNumber(n) || !whole && strings.ContainsAny(n, "eE") {
		return false
	}
	return q.allows(typeNumber) || whole && q.allows(typeInteger)
}

func (q *fastValidator) validArray(list []any) bool {
	if len(list) < q.minItems || q.maxItems >= 0 && len(list) > q.maxItems {
		return false
	}
	if !q.hasItems {
		return true
	}
	for _, item := range list {
		if !q.items.valid(item) {
			return false
		}
	}
	return true
}

func (q *fastValidator) validObject(object map[string]any) bool {
	if len(object) < q.minMembers || q.maxMembers >= 0 && len(object) > q.maxMembers {
		return false
	}
	for _, name := range q.required {
		if _, ok := object[name]; !ok {
			return false
		}
	}
	for name, v := range object {
		member, declared := q.members[name]
		switch {
		case declared && !member.valid(v), !declared && q.closed:
			return false
		}
	}
	return true
}

// shorten returns v with its arrays cut behind the first entries that are not surely valid,
// left of them in all, and reports whether it cut any. What is behind them breaks nothing, or
// nothing that would still be reported. The library spends hundreds of bytes on every entry,
// and reports every invalid one before any of its findings can be dropped.
func (q *fastValidator) shorten(v any, left *int) (any, bool) {
	if q == nil {
		return v, false
	}
	switch v := v.(type) {
	case []any:
		return q.shortenArray(v, left)
	case map[string]any:
		out, cut := v, false
		for _, name := range slices.Sorted(maps.Keys(q.members)) {
			member, ok := v[name]
			if !ok || q.members[name].valid(member) {
				continue
			}
			if shorter, changed := q.members[name].shorten(member, left); changed {
				if !cut {
					out, cut = maps.Clone(v), true
				}
				out[name] = shorter
			}
		}
		return out, cut
	default:
		return v, false
	}
}

func (q *fastValidator) shortenArray(list []any, left *int) (any, bool) {
	if !q.hasItems {
		return list, false
	}
	end := min(len(list), max(q.minItems, q.maxItems+1)) // enough to see that the length is wrong
	out, cloned := list, false
	for i, item := range list {
		if q.items.valid(item) {
			continue
		}
		if *left <= 0 {
			break
		}
		*left--
		end = max(end, i+1)
		if shorter, changed := q.items.shorten(item, left); changed {
			if !cloned {
				out, cloned = slices.Clone(list), true
			}
			out[i] = shorter
		}
	}
	return out[:end], cloned || end < len(list)
}
