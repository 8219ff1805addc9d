package worker

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"portolan/jsonata"
)

// A frame that is announced as too long is not read.
func TestFrameIsLimited(t *testing.T) {
	r := strings.NewReader("\xff\xff\xff\xff{}")
	if _, err := readFrame(r); !errors.Is(err, jsonata.ErrTooLarge) || r.Len() != 2 {
		t.Errorf("got %v, %d bytes are left", err, r.Len())
	}
}

// Whatever comes, reading a frame ends, takes no more memory than came, and what was
// written is read.
func FuzzFrame(f *testing.F) {
	for _, seed := range []string{"", "\x00\x00\x00\x00", "\x00\x00\x00\x02{}", "\xff\xff\xff\xff", "\x00\x00\x00\x09{}", "\x05\xff\xff\xff{"} {
		f.Add([]byte(seed))
	}
	f.Add([]byte("\x00\x00\x00\x1e" + `{"source":"1","bindings":null}`))
	f.Add([]byte("\x00\x00\x00\x2b" + `{"value":[1],"failure":"","offset":-1e9999}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		frame, err := readFrame(bytes.NewReader(src))
		if err == nil && !bytes.Equal(frame, src[4:4+len(frame)]) {
			t.Fatalf("%q became %q", src, frame)
		}
		if err == nil {
			_, _ = decodeRequest(frame)
			if res, err := decodeResponse(frame, 1000); err == nil {
				_, _, _ = res.result()
			}
		}
		var written bytes.Buffer
		if err := writeFrame(&written, src); err != nil {
			t.Fatal(err)
		}
		if back, err := readFrame(&written); err != nil || !bytes.Equal(back, src) {
			t.Fatalf("%q came back as %q, %v", src, back, err)
		}
	})
}
