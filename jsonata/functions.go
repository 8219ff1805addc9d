package jsonata

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"portolan/plain"
)

// function is a library function. call gets min to max arguments, plain JSON that it must not
// change; null and undefined are nil. It returns plain JSON, nil for undefined, or jsonNull.
type function struct {
	min, max int
	call     func(args []any) (any, error)
}

// nullFunctions get jsonNullValue for null, because they return something else for nothing.
var nullFunctions = []string{"toNumber"}

// functionError is an error of a library function. It contains no data.
type functionError struct{ name, message string }

func (e *functionError) Error() string { return "$" + e.name + ": " + e.message }

// library returns the functions that Portolan adds to JSONata, by name without the $.
func library(now func() time.Time, random io.Reader) map[string]function {
	return map[string]function{
		"millis":                {0, 0, func([]any) (any, error) { return float64(now().UnixMilli()), nil }},
		"uuid":                  {0, 0, func([]any) (any, error) { return uuid(random) }},
		"firstNonEmpty":         {1, 100, firstNonEmpty},
		"mapValues":             {2, 4, mapValues},
		"removeEmpty":           {1, 1, removeEmpty},
		"removeEmptyItems":      {1, 1, removeEmptyItems},
		"compact":               {1, 1, compact},
		"groupBy":               {2, 2, groupBy},
		"keyBy":                 {2, 2, keyBy},
		"pick":                  {2, 2, pick},
		"omit":                  {2, 2, omit},
		"orderBy":               {1, 3, orderBy},
		"find":                  {2, 2, find},
		"lofilter":              {2, 2, lofilter},
		"chunk":                 {1, 2, chunk},
		"difference":            {1, 2, difference},
		"flatten":               {1, 1, func(args []any) (any, error) { return flattened(args[0], 1), nil }},
		"flattenDeep":           {1, 1, func(args []any) (any, error) { return flattened(args[0], MaxValueDepth), nil }},
		"flattenDepth":          {1, 2, flattenDepth},
		"sortNodes":             {1, 4, sortNodes},
		"values":                {1, 1, values},
		"wrap":                  {1, 3, wrap},
		"diceCoefficient":       {2, 2, diceCoefficient},
		"mostSimilar":           {2, 3, mostSimilar},
		"jsonParse":             {1, 1, jsonParse},
		"toNumber":              {1, 1, toNumber},
		"parseQuery":            {1, 1, parseQuery},
		"stringifyQuery":        {1, 2, stringifyQuery},
		"jsonToCsv":             {1, 2, jsonToCsv},
		"xmlToJs":               {1, 2, xmlToJs},
		"jsToXml":               {1, 2, jsToXML},
		"getMimeType":           {1, 1, getMimeType},
		"getDataUri":            {2, 2, getDataURI},
		"convertHtmlToMarkdown": {1, 1, convertHTMLToMarkdown},
		"convertMarkdownToHtml": {1, 1, convertMarkdownToHTML},
		"base64encode":          {1, 2, base64encode},
		"base64decode":          {1, 2, base64decode},
		"digest":                {1, 3, digest},
		"sign":                  {3, 4, sign},
		"random":                {0, 100, refused},
		"shuffle":               {0, 100, refused},
		"eval":                  {0, 100, refused},
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
		function($value, $mapping, $lowered, $default) {
			$not($type($mapping) = "function") ? $lookUp($value, $mapping, $lowered, $default)
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

// firstNonEmpty returns the first argument that is neither nothing nor null.
func firstNonEmpty(args []any) (any, error) {
	if i := slices.IndexFunc(args, func(v any) bool { return v != nil }); i >= 0 {
		return args[i], nil
	}
	return nil, nil
}

// removeEmpty returns an array or text that is not empty.
func removeEmpty(args []any) (any, error) {
	switch v := args[0].(type) {
	case []any:
		if len(v) > 0 {
			return v, nil
		}
	case string:
		if v != "" {
			return v, nil
		}
	}
	return nil, nil
}

// removeEmptyItems leaves out items that are null, false, 0 or empty.
func removeEmptyItems(args []any) (any, error) {
	list, ok := args[0].([]any)
	if !ok {
		return args[0], nil
	}
	out := make([]any, 0, len(list))
	for _, item := range list {
		switch v := item.(type) {
		case []any:
			if len(v) == 0 {
				continue
			}
		case map[string]any:
			if len(v) == 0 {
				continue
			}
		}
		if plain.JSTruthy(item) {
			out = append(out, item)
		}
	}
	return out, nil
}
