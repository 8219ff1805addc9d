package gateway

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter is the longest time that a caller is asked to wait.
const maxRetryAfter = 365 * 24 * time.Hour

// retryAfter returns a provider's Retry-After as whole seconds from now, rounded up: "0" for a date
// in the past, at most maxRetryAfter, "" for a value that is neither seconds nor an HTTP date.
func retryAfter(value string, now time.Time) string {
	switch value = strings.TrimSpace(value); {
	case value == "":
		return ""
	case strings.Trim(value, "0123456789") == "":
		seconds, err := strconv.ParseInt(value, 10, 64)
		if longest := int64(maxRetryAfter / time.Second); err != nil || seconds > longest { // too large for an int64
			seconds = longest
		}
		return strconv.FormatInt(seconds, 10)
	}
	at, ok := httpDate(value)
	if !ok {
		return ""
	}
	wait := min(max(at.Sub(now), 0), maxRetryAfter)
	return strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10)
}

// retryAfterReset returns the seconds until a rate limit is reset as Retry-After, rounded up.
func retryAfterReset(seconds string) string {
	n, err := strconv.ParseFloat(seconds, 64)
	if err != nil {
		return ""
	}
	return retryAfter(strconv.FormatFloat(math.Ceil(n), 'f', 0, 64), time.Time{})
}

// httpDate reads a date in one of the three forms of RFC 9110, section 5.6.7.
func httpDate(value string) (time.Time, bool) {
	for _, layout := range []string{"Mon, 02 Jan 2006 15:04:05 GMT", "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC} {
		if at, err := time.Parse(layout, value); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}
