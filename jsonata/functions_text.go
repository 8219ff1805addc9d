package jsonata

import (
	"cmp"
	"crypto/hmac"
	"crypto/md5"  //nolint:gosec // providers still use it
	"crypto/sha1" //nolint:gosec // providers still sign with it
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"portolan/plain"
)

var errWantText = errors.New("expects a text")

// text returns argument i; ok is false if it is undefined.
func text(args []any, i int) (s string, ok bool, err error) {
	if i >= len(args) || args[i] == nil {
		return "", false, nil
	}
	s, ok = args[i].(string)
	if !ok {
		return "", false, errWantText
	}
	return s, true, nil
}

// jsonParse returns the value of a JSON text, null for any other text.
func jsonParse(args []any) (any, error) {
	s, ok := args[0].(string)
	if !ok {
		return args[0], nil
	}
	doc, err := plain.Decode([]byte(s), plain.Options{Lenient: true})
	if err == nil && doc.Value != nil {
		return doc.Value, nil
	}
	return jsonNullValue, nil
}

// toNumber returns v as a number, as JavaScript's Number does: 0 for null, null for what is not a
// number. Nothing stays nothing.
func toNumber(args []any) (any, error) {
	switch v := args[0].(type) {
	case nil, float64, json.Number:
		return v, nil
	case jsonNull:
		return 0.0, nil
	case string:
		if n := json.Number(strings.TrimSpace(v)); plain.IsNumber(string(n)) && finite(n) == nil {
			return n, nil // with all digits
		}
	}
	f := jsNumber(args[0])
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return jsonNullValue, nil
	}
	return f, nil
}

// jsNumber returns v as JavaScript's Number does.
func jsNumber(v any) float64 {
	if f, ok := number(v); ok {
		return f
	}
	switch v := v.(type) {
	case nil:
		return 0
	case bool:
		if v {
			return 1
		}
		return 0
	case []any:
		return jsNumber(jsText(v))
	case string:
		s := strings.TrimSpace(v)
		if s == "" {
			return 0
		}
		if len(s) > 2 && s[0] == '0' && !strings.Contains(s, "_") {
			if n, err := strconv.ParseUint(s, 0, 64); err == nil && strings.ContainsAny(s[1:2], "xXoObB") {
				return float64(n)
			}
		}
		if f, err := strconv.ParseFloat(s, 64); err == nil && strings.Trim(s, "+-.0123456789eE") == "" {
			return f
		}
	}
	return math.NaN()
}

// base64encode encodes the UTF-8 bytes, with - and _ and without padding if its second argument is
// true.
func base64encode(args []any) (any, error) {
	s, ok, err := text(args, 0)
	if !ok {
		return nil, err
	}
	if len(args) > 1 && args[1] == true {
		return base64.RawURLEncoding.EncodeToString([]byte(s)), nil
	}
	return base64.StdEncoding.EncodeToString([]byte(s)), nil
}

func base64decode(args []any) (any, error) {
	s, ok, err := text(args, 0)
	if !ok {
		return nil, err
	}
	s = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(s), "=")
	b, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil {
		return nil, errors.New("the text is not valid base64")
	}
	if !utf8.Valid(b) {
		return nil, errors.New("the decoded bytes are not valid UTF-8")
	}
	return string(b), nil
}

// hashes by name, in lower case and without hyphens.
var hashes = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
}

func hashNamed(args []any, i int) (func() hash.Hash, error) {
	name, ok, err := text(args, i)
	if err != nil {
		return nil, err
	}
	if !ok {
		name = "sha256"
	}
	h := hashes[strings.ReplaceAll(strings.ToLower(name), "-", "")]
	if h == nil {
		return nil, errors.New("the algorithm must be MD5, SHA-1, SHA-256, SHA-384 or SHA-512")
	}
	return h, nil
}

func encoded(b []byte, args []any, i int) (any, error) {
	name, ok, err := text(args, i)
	switch {
	case err != nil:
		return nil, err
	case !ok || name == "hex":
		return hex.EncodeToString(b), nil
	case name == "base64":
		return base64.StdEncoding.EncodeToString(b), nil
	case name == "base64-urlSafe", name == "base64url":
		return base64.RawURLEncoding.EncodeToString(b), nil
	default:
		return nil, errors.New("the encoding must be hex, base64 or base64-urlSafe")
	}
}

func digest(args []any) (any, error) {
	s, ok, err := text(args, 0)
	if !ok {
		return nil, err
	}
	newHash, err := hashNamed(args, 1)
	if err != nil {
		return nil, err
	}
	h := newHash()
	h.Write([]byte(s))
	return encoded(h.Sum(nil), args, 2)
}

func sign(args []any) (any, error) {
	s, ok, err := text(args, 0)
	if !ok {
		return nil, err
	}
	key, ok, err := text(args, 2)
	if err != nil {
		return nil, err
	}
	if !ok || key == "" {
		return nil, errors.New("the key is missing")
	}
	newHash, err := hashNamed(args, 1)
	if err != nil {
		return nil, err
	}
	h := hmac.New(newHash, []byte(key))
	h.Write([]byte(s))
	return encoded(h.Sum(nil), args, 3)
}

// wrap puts a text between two others, or twice the same.
func wrap(args []any) (any, error) {
	part := func(i int) string {
		if i >= len(args) || args[i] == nil {
			return ""
		}
		return jsText(args[i])
	}
	end := part(2)
	if end == "" {
		end = part(1)
	}
	return part(1) + part(0) + end, nil
}

// maxSimilar is the longest text whose similarity is computed, in bytes.
const maxSimilar = 10_000

// pairs counts the pairs of neighbouring letters and digits of a text, in lower case.
func pairs(s string) (counts map[string]int, all int, normal string) {
	normal = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(s))
	counts = map[string]int{}
	for i := range len(normal) - 1 {
		counts[normal[i:i+2]]++
		all++
	}
	return counts, all, normal
}

func similarity(a, b string) (float64, error) {
	if max(len(a), len(b)) > maxSimilar {
		return 0, errors.New("a text is longer than 10,000 bytes")
	}
	first, n, x := pairs(a)
	second, m, y := pairs(b)
	if x == y {
		return 1, nil
	}
	common := 0
	for pair, count := range first {
		common += min(count, second[pair])
	}
	return 2 * float64(common) / math.Max(float64(n+m), 1), nil
}

func diceCoefficient(args []any) (any, error) {
	a, ok, err := text(args, 0)
	b, both, err2 := text(args, 1)
	if err = cmp.Or(err, err2); err != nil || !ok || !both {
		return nil, err
	}
	likeness, err := similarity(a, b)
	return likeness, err
}

// mostSimilar returns the text of an array that is most similar to a text, or the text itself if none
// is similar enough.
func mostSimilar(args []any) (any, error) {
	s, ok, err := text(args, 0)
	if !ok {
		return nil, err
	}
	best, found := 0.8, any(s)
	if len(args) > 2 && args[2] != nil {
		if best, ok = number(args[2]); !ok {
			return nil, errors.New("expects a number as argument 3")
		}
	}
	least := 0.0
	for _, item := range items(args[1]) {
		candidate, ok := item.(string)
		if !ok {
			return nil, errors.New("expects texts as argument 2")
		}
		likeness, err := similarity(s, candidate)
		if err != nil {
			return nil, err
		}
		if likeness > least {
			if least = likeness; likeness >= best {
				found = candidate
			}
		}
	}
	return found, nil
}
