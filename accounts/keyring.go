package accounts

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
)

// Keyring seals secrets with AES-256-GCM. It is immutable and safe for concurrent use.
//
// A sealed value is "<key id>.<base64url of nonce and ciphertext>". The owner (an account's
// id) and the field's name are authenticated: a value moved to another row cannot be
// opened. One key should seal at most 2^32 values; rotate long before.
type Keyring struct {
	keys []masterKey // newest first
}

type masterKey struct {
	id   string
	aead cipher.AEAD
}

// The errors of Keyring.Open, to be tested with errors.Is.
var (
	// ErrUnknownKey: the keyring lacks the key that sealed the value.
	ErrUnknownKey = errors.New("encrypted with a master key that is missing")
	// ErrSeal: the value was altered or moved, or its key id names another key.
	ErrSeal = errors.New("encrypted value cannot be decrypted")
)

var keyID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// ParseKeyring parses keys, newest first, separated by commas, blanks or line breaks, each
// "<id>:<base64 of 32 bytes>". Lines that start with # are comments. The error joins all
// problems and shows no key.
func ParseKeyring(text string) (*Keyring, error) {
	var problems []error
	k := &Keyring{}
	seen := map[string]bool{}
	n := 0
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for _, word := range strings.FieldsFunc(line, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\r' || r == '\n' }) {
			n++
			id, encoded, ok := strings.Cut(word, ":")
			if !ok || !keyID.MatchString(id) {
				problems = append(problems, fmt.Errorf("master key %d is not <id>:<base64 of 32 bytes>", n))
				continue
			}
			raw, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil || len(raw) != 32 {
				problems = append(problems, fmt.Errorf("master key %q is not the base64 of 32 bytes", id))
				continue
			}
			if seen[id] {
				problems = append(problems, fmt.Errorf("master key %q occurs twice", id))
				continue
			}
			seen[id] = true
			block, _ := aes.NewCipher(raw) // 32 bytes: cannot fail
			aead, err := cipher.NewGCMWithRandomNonce(block)
			if err != nil {
				return nil, fmt.Errorf("aes-gcm: %w", err)
			}
			k.keys = append(k.keys, masterKey{id, aead})
		}
	}
	if problems == nil && len(k.keys) == 0 {
		problems = append(problems, errors.New("no master key is given"))
	}
	if problems != nil {
		return nil, errors.Join(problems...)
	}
	return k, nil
}

// NewKey returns a random key in the form that ParseKeyring reads.
func NewKey(id string) (string, error) {
	if !keyID.MatchString(id) {
		return "", fmt.Errorf("key id %q is not 1 to 32 letters, digits, _ or -", id)
	}
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // cannot fail
	return id + ":" + base64.StdEncoding.EncodeToString(raw[:]), nil
}

// Newest returns the id of the key that Seal uses.
func (k *Keyring) Newest() string { return k.keys[0].id }

// IDs returns the ids of all keys, newest first.
func (k *Keyring) IDs() []string {
	ids := make([]string, len(k.keys))
	for i, key := range k.keys {
		ids[i] = key.id
	}
	return ids
}

// Has reports whether the keyring holds the key with this id.
func (k *Keyring) Has(id string) bool { return k.find(id) != nil }

func (k *Keyring) find(id string) cipher.AEAD {
	for _, key := range k.keys {
		if key.id == id {
			return key.aead
		}
	}
	return nil
}

// Seal seals plain with the newest key, for one field of one owner.
func (k *Keyring) Seal(owner, field string, plain []byte) string {
	key := k.keys[0]
	sealed := key.aead.Seal(nil, nil, plain, additional(owner, field)) //nolint:gosec // G407: this AEAD makes its own random nonce
	return key.id + "." + base64.RawURLEncoding.EncodeToString(sealed)
}

// Open returns the value that Seal sealed. The error is ErrUnknownKey or ErrSeal.
func (k *Keyring) Open(owner, field, sealed string) ([]byte, error) {
	id, encoded, _ := strings.Cut(sealed, ".")
	aead := k.find(id)
	if aead == nil {
		return nil, fmt.Errorf("%w: %q", ErrUnknownKey, id)
	}
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return nil, ErrSeal
	}
	plain, err := aead.Open(nil, nil, raw, additional(owner, field))
	if err != nil {
		return nil, ErrSeal
	}
	return plain, nil
}

// SealedWith returns the id of the key that sealed a value.
func SealedWith(sealed string) string {
	id, _, _ := strings.Cut(sealed, ".")
	return id
}

// additional joins owner and field unambiguously: neither holds NUL.
func additional(owner, field string) []byte { return []byte(owner + "\x00" + field) }

// Format writes the number of keys.
func (k *Keyring) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "%d master keys", len(k.keys)) }

// LogValue returns what Format writes.
func (k *Keyring) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(k)) }
