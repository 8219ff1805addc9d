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

// Secret is text that prints as "***", whatever prints it. Only Reveal shows it.
type Secret string

// Reveal gives the text itself, for the one place that needs it.
func (s Secret) Reveal() string { return string(s) }

// Format writes "***".
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// String gives "***".
func (Secret) String() string { return masked }

// GoString gives "***".
func (Secret) GoString() string { return masked }

// LogValue gives "***".
func (Secret) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalText gives "***", for JSON and YAML. It does not help where a Secret is the key of
// a map: JSON takes such a key as it stands.
func (Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

// Format writes "***": under a verb that is none of a struct's, fmt would look past the
// masks of its members.
func (Grant) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// Context is an account's credentials and settings as plain JSON values (nil, bool,
// string, json.Number, []any, map[string]any). It prints as "***", whatever prints it.
type Context map[string]any

// Format writes "***".
func (Context) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// String gives "***".
func (Context) String() string { return masked }

// GoString gives "***".
func (Context) GoString() string { return masked }

// LogValue gives "***".
func (Context) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalJSON gives "***".
func (Context) MarshalJSON() ([]byte, error) { return []byte(`"` + masked + `"`), nil }

// Hash is the SHA-256 of a token's secret. It prints as "***", because a short secret can
// be guessed from it.
type Hash [sha256.Size]byte

// HashToken gives the Hash of secret.
func HashToken(secret string) Hash { return sha256.Sum256([]byte(secret)) }

// Format writes "***".
func (Hash) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// String gives "***".
func (Hash) String() string { return masked }

// GoString gives "***".
func (Hash) GoString() string { return masked }

// LogValue gives "***".
func (Hash) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalJSON gives "***".
func (Hash) MarshalJSON() ([]byte, error) { return []byte(`"` + masked + `"`), nil }

// NewSecret makes the text of a token: kind, eight characters to recognise it by (together
// they are its prefix), and 256 random bits.
func NewSecret(kind string) (secret Secret, prefix string) {
	var b [4 + 32]byte
	_, _ = rand.Read(b[:]) // cannot fail
	prefix = kind + "_" + hex.EncodeToString(b[:4])
	return Secret(prefix + "_" + base64.RawURLEncoding.EncodeToString(b[4:])), prefix
}

// NewID makes a random uuid (version 4).
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
