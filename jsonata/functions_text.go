package jsonata

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // providers still sign with it
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"strings"
	"unicode/utf8"
)

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

func jsonParse(args []any) (any, error) {
	s, ok, err := text(args, 0)
	if !ok {
		return nil, err
	}
	decoder := json.NewDecoder(strings.NewReader(s))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, errors.New("the text is not valid JSON")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the text is not valid JSON")
	}
	if v == nil {
		return jsonNullValue, nil
	}
	return v, nil
}

func toNumber(args []any) (any, error) {
	switch v := args[0].(type) {
	case nil:
		return nil, nil
	case float64, json.Number:
		return v, nil
	case bool:
		if v {
			return 1.0, nil
		}
		return 0.0, nil
	case string:
		s := strings.TrimSpace(v)
		if s == "" {
			return nil, nil
		}
		n := json.Number(s)
		if !json.Valid([]byte(s)) || !strings.ContainsAny(s[len(s)-1:], "0123456789") || finite(n) != nil {
			return nil, errors.New("the text is not a number")
		}
		return n, nil
	default:
		return nil, errors.New("expects a text, a number or a boolean")
	}
}

func base64encode(args []any) (any, error) {
	s, ok, err := text(args, 0)
	if !ok {
		return nil, err
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
var hashes = map[string]func() hash.Hash{"sha1": sha1.New, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New}

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
		return nil, errors.New("the algorithm must be SHA-1, SHA-256, SHA-384 or SHA-512")
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
	case name == "base64url":
		return base64.RawURLEncoding.EncodeToString(b), nil
	default:
		return nil, errors.New("the encoding must be hex, base64 or base64url")
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
	key, ok, err := text(args, 1)
	if err != nil {
		return nil, err
	}
	if !ok || key == "" {
		return nil, errors.New("the key is missing")
	}
	newHash, err := hashNamed(args, 2)
	if err != nil {
		return nil, err
	}
	h := hmac.New(newHash, []byte(key))
	h.Write([]byte(s))
	return encoded(h.Sum(nil), args, 3)
}
