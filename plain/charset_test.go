package plain_test

import (
	"testing"
	"unicode/utf8"

	"portolan/plain"
)

func TestToUTF8(t *testing.T) {
	for _, tt := range []struct {
		data, contentType, want string
		changed                 bool
	}{
		{"", "", "", false},
		{"Zoë", "application/json", "Zoë", false},
		{"Zoë", "application/json; charset=UTF-8", "Zoë", false},
		{"Zo\xeb", "application/json; charset=iso-8859-1", "Zoë", true},
		{"Zo\xeb", `text/html; Charset="windows-1252"`, "Zoë", true},
		{"\xff\xfeZ\x00", "text/plain; charset=utf-16", "Z", true},
		{"Z\x00", "text/plain; charset=utf-16le", "Z", true},
		{"\x00Z", "text/plain; charset=UTF-16BE", "Z", true},
		{"Zo\xeb", "application/json; charset=latin1", "Zoë", true},
		{"\xe4", "application/json; charset=windows-1251", "д", true},
		{"\xc4", "application/json; charset=koi8-r", "д", true},
		{"plain", "text/plain; charset=iso-8859-1", "plain", false},
		{"Zo\xeb", "application/json; charset=unheard-of", "Zo\uFFFD", true},
		{"Zo\xeb", "application/json; charset", "Zo\uFFFD", true},
		{"Zo\xeb", "application/json", "Zo\uFFFD", true},
		{"Zo\xeb", "application/json; charset=utf-8", "Zo\uFFFD", true},
	} {
		got, changed := plain.ToUTF8([]byte(tt.data), tt.contentType)
		if string(got) != tt.want || changed != tt.changed {
			t.Errorf("%q in %q: %q, %v", tt.data, tt.contentType, got, changed)
		}
	}
}

func FuzzToUTF8(f *testing.F) {
	f.Add([]byte("Zo\xeb"), "text/plain; charset=shift_jis")
	f.Add([]byte{0xff, 0xfe, 0}, "a/b; charset=utf-16le")
	f.Fuzz(func(t *testing.T, data []byte, contentType string) {
		got, changed := plain.ToUTF8(data, contentType)
		if !utf8.Valid(got) || changed == (string(got) == string(data)) {
			t.Errorf("%q in %q: %q, %v", data, contentType, got, changed)
		}
	})
}
