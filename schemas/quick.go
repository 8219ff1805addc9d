package schemas

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"portolan/plain"
)

// quick is a schema compiled for one question: is this value surely valid? It allocates
// nothing. What it does not know, it doubts, and the library decides. A nil quick doubts
// everything.
type quick struct {
	types                  jsonType // that are allowed; 0: all
	enum                   []string // that are allowed; nil: all
	format                 func(any) bool
	minLength, maxLength   int // characters; -1: no limit
	minItems, maxItems     int
	minMembers, maxMembers int
	items                  *quick
	hasItems               bool
	members                map[string]*quick
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

// known are the fields of a library's schema that quick understands, or that say nothing of
// a value. A schema with any other field set is doubted.
var known = map[string]bool{
	"Location": true, "Draft": true, "Format": true, "Types": true, "Enum": true,
	"MinProperties": true, "MaxProperties": true, "Required": true, "Properties": true, "AdditionalProperties": true,
	"MinItems": true, "MaxItems": true, "Items2020": true, "MinLength": true, "MaxLength": true,
	"ContainsEval": true, "MinContains": true, "MaxContains": true, // without Contains they say nothing
	"Title": true, "Description": true, "Default": true, "Comment": true, "ReadOnly": true, "WriteOnly": true,
	"Examples": true, "Deprecated": true,
}

func newQuick(s *jsonschema.Schema) *quick {
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() && !known[f.Name] && !v.Field(i).IsZero() {
			return nil
		}
	}
	q := &quick{
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
		q.items, q.hasItems = newQuick(s.Items2020), true
	}
	if len(s.Properties) > 0 {
		q.members = make(map[string]*quick, len(s.Properties))
		for name, member := range s.Properties {
			q.members[name] = newQuick(member)
		}
	}
	return q
}

// valid reports whether v is surely valid. false is a doubt, not an answer.
func (q *quick) valid(v any) bool {
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

func (q *quick) allows(t jsonType) bool { return q.types == 0 || q.types&t != 0 }

func (q *quick) lists(v any) bool {
	text, ok := v.(string)
	return ok && slices.Contains(q.enum, text)
}

func (q *quick) validText(s string) bool {
	if q.minLength <= 0 && q.maxLength < 0 {
		return true
	}
	n := utf8.RuneCountInString(s)
	return n >= q.minLength && (q.maxLength < 0 || n <= q.maxLength)
}

// maxQuickDigits is the longest number that is judged without the library.
const maxQuickDigits = 300

func (q *quick) validNumber(n string) bool {
	whole := strings.Trim(n, "-0123456789") == ""
	if len(n) > maxQuickDigits || !plain.IsNumber(n) || !whole && strings.ContainsAny(n, "eE") {
		return false
	}
	return q.allows(typeNumber) || whole && q.allows(typeInteger)
}

func (q *quick) validArray(list []any) bool {
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

func (q *quick) validObject(object map[string]any) bool {
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
