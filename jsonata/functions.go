package jsonata

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// function is a library function. call gets min to max arguments, plain JSON that it must not
// change; null and undefined are nil. It returns plain JSON, nil for undefined, or jsonNull.
type function struct {
	min, max int
	call     func(args []any) (any, error)
}

// functionError is an error of a library function. It contains no data.
type functionError struct{ name, message string }

func (e *functionError) Error() string { return "$" + e.name + ": " + e.message }

// library returns the functions that Portolan adds to JSONata, by name without the $.
func library(now func() time.Time, random io.Reader) map[string]function {
	return map[string]function{
		"millis":        {0, 0, func([]any) (any, error) { return float64(now().UnixMilli()), nil }},
		"uuid":          {0, 0, func([]any) (any, error) { return uuid(random) }},
		"firstNonEmpty": {1, 100, firstNonEmpty},
		"mapValues":     {2, 4, mapValues},
		"removeEmpty":   {1, 1, removeEmpty},
		"compact":       {1, 1, compact},
		"groupBy":       {2, 2, groupBy},
		"keyBy":         {2, 2, keyBy},
		"pick":          {2, 2, pick},
		"omit":          {2, 2, omit},
		"jsonParse":     {1, 1, jsonParse},
		"toNumber":      {1, 1, toNumber},
		"base64encode":  {1, 1, base64encode},
		"base64decode":  {1, 1, base64decode},
		"digest":        {1, 3, digest},
		"sign":          {3, 4, sign},
		"random":        {0, 100, refused},
		"shuffle":       {0, 100, refused},
		"eval":          {0, 100, refused},
	}
}

// libraryInJSONata holds the library functions that call functions, $filter, which returns a single
// hit as the item as in the reference implementation, and the right side of ~> that may be data.
var libraryInJSONata = map[string]string{
	"filter": `(
		$all := $filter;
		function($array, $test) { ( $hits := $all($array, $test); $count($hits) = 1 ? $hits[0] : $hits ) }
	)`,
	ownPrefix + "applied": `function($value, $function) { $type($function) = "function" ? $value ~> $function : $value ~> 0 }`,
	"now":                 `function($picture, $timezone) { $fromMillis($millis(), $picture, $timezone) }`,
	"mapValues": `(
		$lookUp := $mapValues;
		function($value, $mapping, $ignoreCase, $default) {
			$type($mapping) != "function" ? $lookUp($value, $mapping, $ignoreCase, $default)
			: $type($value) = "object" ? $merge([$each($value, function($v, $k) { {$k: $mapping($v, $k)} })])
			: $type($value) = "array" ? [$map($value, function($v) { $mapping($v) })]
			: $exists($value) ? $mapping($value)
		}
	)`,
}

func refused([]any) (any, error) { return nil, errors.New("is not allowed") }

func uuid(random io.Reader) (any, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return nil, errors.New("the random source failed")
	}
	b[6] = b[6]&0x0f | 0x40 // version 4
	b[8] = b[8]&0x3f | 0x80 // RFC 9562's variant
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}

// isEmpty reports whether v is null, "", [] or {}.
func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	default:
		return false
	}
}

func firstNonEmpty(args []any) (any, error) {
	if i := slices.IndexFunc(args, func(v any) bool { return !isEmpty(v) }); i >= 0 {
		return args[i], nil
	}
	return nil, nil
}

func removeEmpty(args []any) (any, error) {
	switch v := args[0].(type) {
	case map[string]any, []any:
		return withoutEmpty(v), nil
	case string:
		if v == "" {
			return nil, nil
		}
	}
	return args[0], nil
}

func withoutEmpty(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, member := range v {
			if member = withoutEmpty(member); !isEmpty(member) {
				out[name] = member
			}
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, item := range v {
			if item = withoutEmpty(item); !isEmpty(item) {
				out = append(out, item)
			}
		}
		return out
	default:
		return v
	}
}
