package jsonata

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// function is a function for mapping authors. call gets min to max arguments, plain JSON
// that it must not change; an argument that is null or undefined is nil. It returns plain
// JSON, nil for undefined, or jsonNull.
type function struct {
	min, max int
	call     func(args []any) (any, error)
}

// functionError is a failure of a function, told without any value of the data.
type functionError struct{ name, text string }

func (e *functionError) Error() string { return "$" + e.name + ": " + e.text }

// library is what Portolan adds to JSONata, by name, without the $.
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

// libraryInJSONata is the part of the library that calls functions, and two built-ins that
// here give what the reference implementation gives: one hit of $filter is the item itself,
// and $match says index.
var libraryInJSONata = map[string]string{
	"filter": `(
		$all := $filter;
		function($array, $test) { ( $hits := $all($array, $test); $count($hits) = 1 ? $hits[0] : $hits ) }
	)`,
	"match": `(
		$all := $match;
		function($text, $pattern, $limit) {
			$all($text, $pattern, $limit).{ "match": match, "index": $exists(start) ? start : index, "groups": groups }
		}
	)`,
	"now": `function($picture, $timezone) { $fromMillis($millis(), $picture, $timezone) }`,
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

func refused([]any) (any, error) { return nil, errors.New("is refused") }

func uuid(random io.Reader) (any, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return nil, errors.New("the random source failed")
	}
	b[6] = b[6]&0x0f | 0x40 // version 4
	b[8] = b[8]&0x3f | 0x80 // RFC 9562's variant
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}

// empty is what JSON can say without saying anything. false and 0 say something.
func empty(v any) bool {
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
	if i := slices.IndexFunc(args, func(v any) bool { return !empty(v) }); i >= 0 {
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
			if member = withoutEmpty(member); !empty(member) {
				out[name] = member
			}
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, item := range v {
			if item = withoutEmpty(item); !empty(item) {
				out = append(out, item)
			}
		}
		return out
	default:
		return v
	}
}
