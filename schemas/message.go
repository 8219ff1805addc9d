package schemas

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"portolan/plain"
)

const (
	maxClip        = 100 // runes of a name or pattern in a message
	maxListed      = 20  // values of an enum in a message
	maxSuggestions = 100 // suggestions for the unknown members of one object
)

// subject returns the pointer without its first slash, for a message.
func subject(pointer string) string {
	if pointer == "" {
		return "the value"
	}
	return clip(pointer[1:])
}

// clip returns text for a message, shortened and printable.
func clip(text string) string {
	var b strings.Builder
	n := 0
	for _, c := range text {
		if n++; n > maxClip {
			return b.String() + "…"
		}
		if !unicode.IsPrint(c) {
			c = unicode.ReplacementChar
		}
		b.WriteRune(c)
	}
	return b.String()
}

func typeMessage(at string, want []string, value any) string {
	names := make([]string, len(want))
	for i, t := range want {
		names[i] = withArticle(t)
	}
	return fmt.Sprintf("%s must be %s, got %s", subject(at), alternativesOf(names), plain.TypeName(value))
}

func withArticle(name string) string {
	switch name {
	case "null":
		return name
	case "object", "array", "integer":
		return "an " + name
	default:
		return "a " + name
	}
}

// alternativesOf returns "a, b or c".
func alternativesOf(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

func enumMessage(at string, allowed []any) string {
	var texts []string
	for i, value := range allowed {
		if i == maxListed {
			texts = append(texts, fmt.Sprintf("%d more", len(allowed)-i))
			break
		}
		texts = append(texts, valueText(value))
	}
	if len(texts) == 1 {
		return subject(at) + " must be " + texts[0]
	}
	return subject(at) + " must be one of " + strings.Join(texts, ", ")
}

// valueText returns a value of the schema for a message: text without quotes if it is
// unambiguous, anything else as JSON.
func valueText(value any) string {
	text, ok := value.(string)
	if ok && text != "" && strings.TrimSpace(text) == text && !strings.Contains(text, ",") {
		return clip(text)
	}
	if ok {
		return strconv.Quote(clip(text))
	}
	source, err := plain.Append(nil, value)
	if err != nil {
		return plain.TypeName(value)
	}
	return clip(string(source))
}

func rangeMessage(s *jsonschema.Schema, keyword string) (predicate string, ok bool) {
	switch keyword {
	case "minimum":
		return "must be at least " + number(s.Minimum), true
	case "exclusiveMinimum":
		return "must be more than " + number(s.ExclusiveMinimum), true
	case "maximum":
		return "must be at most " + number(s.Maximum), true
	case "exclusiveMaximum":
		return "must be less than " + number(s.ExclusiveMaximum), true
	case "multipleOf":
		return "must be a multiple of " + number(s.MultipleOf), true
	default:
		return "", false
	}
}

func number(r *big.Rat) string {
	f, _ := r.Float64()
	if r.IsInt() && math.Abs(f) < 1e15 {
		return r.RatString()
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

func lengthMessage(s *jsonschema.Schema, keyword string) (predicate string, ok bool) {
	switch keyword {
	case "minItems":
		return "must have at least " + count(s.MinItems, "item", "items"), true
	case "maxItems":
		return "must have at most " + count(s.MaxItems, "item", "items"), true
	case "additionalItems":
		items, _ := s.Items.([]*jsonschema.Schema)
		return "must have at most " + count(len(items), "item", "items"), true
	case "minProperties":
		return "must have at least " + count(s.MinProperties, "property", "properties"), true
	case "maxProperties":
		return "must have at most " + count(s.MaxProperties, "property", "properties"), true
	case "minLength":
		return "must have at least " + count(s.MinLength, "character", "characters"), true
	case "maxLength":
		return "must have at most " + count(s.MaxLength, "character", "characters"), true
	case "minContains":
		return "must have at least " + count(s.MinContains, "item", "items") + " of the required kind", true
	case "maxContains":
		return "must have at most " + count(s.MaxContains, "item", "items") + " of the same kind", true
	case "uniqueItems":
		return "must not have the same item twice", true
	default:
		return "", false
	}
}

func count(n int, singular, plural string) string {
	if n == 1 {
		return "1 " + singular
	}
	return strconv.Itoa(n) + " " + plural
}
