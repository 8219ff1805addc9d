package gateway

import (
	"strconv"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 6, 8, 49, 37, 400_000_000, time.UTC)
	const year = "31536000"
	for value, want := range map[string]string{
		"7": "7", "0": "0", " 30 ": "30", "007": "7", "31536001": year, "99999999999999999999": year,
		"": "", "garbage": "", "-5": "", "+5": "", "1.5": "", "1e3": "", "5s": "", "٣": "", "5, 6": "",
		"Fri, 06 Nov 2026 08:50:07 GMT": "30", "Friday, 06-Nov-26 08:50:07 GMT": "30", "Fri Nov  6 08:50:07 2026": "30",
		"Fri, 06 Nov 2026 08:49:38 GMT": "1", "Fri, 06 Nov 2026 08:49:37 GMT": "0", "Sun, 06 Nov 1994 08:49:37 GMT": "0",
		"Fri, 06 Nov 2126 08:49:37 GMT": year, "Fri, 06 Nov 9999 08:49:37 GMT": year,
		"Fri, 06 Nov 2026 08:50:07 PST": "", "Fri, 32 Nov 2026 08:50:07 GMT": "", "2026-11-06T08:50:07Z": "",
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

func TestRetryAfterReset(t *testing.T) {
	for value, want := range map[string]string{
		"12": "12", "12.5": "13", "0": "0", "0.2": "1", "1e3": "1000", "99999999999": "31536000",
		"": "", "-5": "", "soon": "", "NaN": "", "Inf": "",
	} {
		if got := retryAfterReset(value); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{"7", "99999999999999999999", "Fri, 06 Nov 2026 08:50:07 GMT", "Friday, 06-Nov-26 08:50:07 GMT", "Fri Nov  6 08:50:07 2026"} {
		f.Add(value, int64(1793954977))
	}
	f.Fuzz(func(t *testing.T, value string, now int64) {
		got := retryAfter(value, time.Unix(now, 0))
		if got == "" {
			return
		}
		n, err := strconv.ParseUint(got, 10, 64)
		if err != nil || n > uint64(maxRetryAfter/time.Second) || strconv.FormatUint(n, 10) != got {
			t.Errorf("%q at %d: %q", value, now, got)
		}
	})
}
