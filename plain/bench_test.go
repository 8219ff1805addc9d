package plain_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"portolan/plain"
)

// record is a typical answer of a provider.
const record = `{"id":"u_1f2e3d4c","name":"Ada Lovelace","email":"ada@example.com","active":true,"manager":null,"score":12.5,
 "created_at":"2024-01-02T03:04:05Z","updated_at":"2024-02-03T04:05:06Z","teams":[{"id":2260114,"name":"Analytical \"Engines\""},{"id":2260115,"name":"Numbers"}],
 "profile":{"title":"Countess","locale":"en-GB","time_zone":"Europe/London","phones":["+44 20 7946 0000","+44 20 7946 0001"]},
 "custom_fields":{"cf_1":"München","cf_2":42,"cf_3":["a","b","c"],"cf_4":{"x":1,"y":2}},"url":"https://api.example.com/users/u_1f2e3d4c"}`

// TestAllocations bounds the allocations for a typical record: one for the text, two (header
// and groups) or more for each object, two for each array, one for each string and number,
// and few for the decoder.
func TestAllocations(t *testing.T) {
	data := []byte(record)
	got := testing.AllocsPerRun(100, func() {
		if _, err := plain.Decode(data, plain.Options{}); err != nil {
			t.Fatal(err)
		}
	})
	if got > 55 {
		t.Errorf("Decode allocates %v times, want at most 55", got)
	}
	v, dst := decode(t, record), make([]byte, 0, 2*len(record))
	got = testing.AllocsPerRun(100, func() {
		if _, err := plain.Append(dst, v); err != nil {
			t.Fatal(err)
		}
	})
	if got > 0 {
		t.Errorf("Append allocates %v times, want none", got)
	}
}

func BenchmarkDecode(b *testing.B) {
	data := []byte(record)
	b.Run("plain", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := plain.Decode(data, plain.Options{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			decoder := json.NewDecoder(bytes.NewReader(data))
			decoder.UseNumber()
			var v any
			if err := decoder.Decode(&v); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	v := decode(b, record)
	b.Run("plain", func(b *testing.B) {
		b.ReportAllocs()
		var dst []byte
		for b.Loop() {
			var err error
			if dst, err = plain.Append(dst[:0], v); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		var out bytes.Buffer
		for b.Loop() {
			out.Reset()
			encoder := json.NewEncoder(&out)
			encoder.SetEscapeHTML(false)
			if err := encoder.Encode(v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
