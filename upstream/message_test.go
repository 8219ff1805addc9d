package upstream

import (
	"net/url"
	"testing"
)

// net/url does not change what isPlainURL accepts.
func FuzzPlainURL(f *testing.F) {
	for _, target := range []string{"https://app.example.com/api/v1/users/u1?user_id=7&a=", "http://a:80", "http://A.example.com/B?", "httpS://a/b", "http://a//b/../c", "https://a/b?c?d=&&"} {
		f.Add(target)
	}
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.Parse(target)
		if err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") && isPlainURL(target) && u.String() != target {
			t.Errorf("%q becomes %q", target, u)
		}
	})
}
