package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// post sends a form as a token request does, and reads the whole answer.
func post(ctx context.Context, client *http.Client, target string) (*http.Response, string, error) {
	form := url.Values{"refresh_token": {canary}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(form))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Authorization", canary)
	res, err := client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}

func TestHTTP(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	client, origin := provider(t, func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusTemporaryRedirect
		switch r.URL.Path {
		case "/":
			body, _ := io.ReadAll(r.Body)
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
			_, _ = fmt.Fprintf(w, "%s %s %d", r.Method, body, len(r.Cookies()))
			return
		case "/fits":
			_, _ = io.WriteString(w, strings.Repeat("x", maxTokenAnswer))
			return
		case "/large":
			_, _ = io.WriteString(w, strings.Repeat("x", maxTokenAnswer+1))
			return
		case "/cut":
			w.Header().Set("Content-Length", "50")
			_, _ = io.WriteString(w, canary)
			return
		case "/400":
			w.WriteHeader(http.StatusBadRequest)
			return
		case "/same":
			w.Header().Set("Location", "/?key="+canary)
		case "/loop":
			w.Header().Set("Location", "/loop?key="+canary)
		case "/other":
			w.Header().Set("Location", other.URL+"/?key="+canary)
		case "/get":
			w.Header().Set("Location", "/")
			status = http.StatusFound
		case "/unreadable":
			w.Header().Set("Location", "http://%zz/"+canary)
		}
		w.WriteHeader(status)
	})
	for path, tt := range map[string]struct {
		status     int
		body, text string
	}{
		"/":           {200, "POST refresh_token=" + canary + " 0", ""},
		"/same":       {200, "POST refresh_token=" + canary + " 0", ""},
		"/fits":       {200, strings.Repeat("x", maxTokenAnswer), ""},
		"/400":        {400, "", ""},
		"/large":      {0, "", "answer is larger than the limit of 1 MiB"},
		"/cut":        {0, "", "answer is cut off"},
		"/loop":       {0, "", "too many redirects"},
		"/other":      {0, "", "redirect to another host refused"},
		"/get":        {0, "", "redirect that would turn POST into GET refused"},
		"/unreadable": {0, "", "redirect to an unreadable address refused"},
	} {
		t.Run(path, func(t *testing.T) {
			for range 2 { // the second request would send the cookie of the first
				res, body, err := post(t.Context(), client.HTTP(10*time.Second), origin+path)
				switch {
				case tt.text != "":
					if err == nil || !strings.HasSuffix(err.Error(), tt.text) || strings.Contains(fmt.Sprintf("%v %+v", err, err), canary) {
						t.Errorf("got %v", err)
					}
				case err != nil:
					t.Error(err)
				case res.StatusCode != tt.status || body != tt.body:
					t.Errorf("got %d %.80s", res.StatusCode, body)
				}
			}
		})
	}
	if client.HTTP(10*time.Second).Jar != nil {
		t.Error("it keeps cookies")
	}
}

func TestHTTPTime(t *testing.T) {
	for name, afterHead := range map[string]bool{"before the head": false, "in the body": true} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			client, origin := provider(t, func(w http.ResponseWriter, _ *http.Request) {
				if afterHead {
					_, _ = io.WriteString(w, "{")
					_ = http.NewResponseController(w).Flush()
				}
				<-release
			})
			defer close(release)
			_, _, err := post(t.Context(), client.HTTP(100*time.Millisecond), origin)
			if !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), canary) {
				t.Errorf("got %v", err)
			}
		})
	}
}
