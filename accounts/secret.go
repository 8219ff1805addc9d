package accounts

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
)

const masked = "***"

// Secret is text that always prints as "***". Only Reveal returns it.
type Secret string

// Reveal returns the text.
func (s Secret) Reveal() string { return string(s) }

// Format writes "***".
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// String returns "***".
func (Secret) String() string { return masked }

// GoString returns "***".
func (Secret) GoString() string { return masked }

// LogValue returns "***".
func (Secret) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalText returns "***", for JSON and YAML. JSON does not call it for a map's keys.
func (Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

// Format writes "***": under some verbs fmt would print the fields without their masks.
func (Grant) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// Context is an account's credentials and settings as plain JSON values (nil, bool,
// string, json.Number, []any, map[string]any). It always prints as "***".
type Context map[string]any

// Format writes "***".
func (Context) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// String returns "***".
func (Context) String() string { return masked }

// GoString returns "***".
func (Context) GoString() string { return masked }

// LogValue returns "***".
func (Context) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalJSON returns "***".
func (Context) MarshalJSON() ([]byte, error) { return []byte(`"` + masked + `"`), nil }

// Hash is the SHA-256 of a token's secret. It always prints as "***", because a short
// secret can be guessed from it.
type Hash [sha256.Size]byte

// HashToken returns the Hash of secret.
func HashToken(secret string) Hash { return sha256.Sum256([]byte(secret)) }

// Format writes "***".
func (Hash) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// String returns "***".
func (Hash) String() string { return masked }

// GoString returns "***".
func (Hash) GoString() string { return masked }

// LogValue returns "***".
func (Hash) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalJSON returns "***".
func (Hash) MarshalJSON() ([]byte, error) { return []byte(`"` + masked + `"`), nil }

// NewSecret returns a random token, "<prefix>_<256 random bits>", and its prefix, kind and
// eight random characters.
func NewSecret(kind string) (secret Secret, prefix string) {
	var b [4 + 32]byte
	_, _ = rand.Read(b[:]) // cannot fail
	prefix = kind + "_" + hex.EncodeToString(b[:4])
	return Secret(prefix + "_" + base64.RawURLEncoding.EncodeToString(b[4:])), prefix
}

// NewID returns a random UUID (version 4).
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
