package sandbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// consentPage posts to its own URL, so that its query is checked again.
var consentPage = template.Must(template.New("consent").Parse(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Allow access?</title></head>
<body>
<h1>Allow access?</h1>
<p>{{.Client}} wants to use your account at {{.Provider}}, which the sandbox simulates.</p>
{{- if .Scopes}}
<p>It asks for:</p>
<ul>
{{- range .Scopes}}
<li>{{.}}</li>
{{- end}}
</ul>
{{- end}}
<p>You will continue to {{.Target}}.</p>
<form method="post">
<button name="decision" value="allow">Allow</button>
<button name="decision" value="deny">Deny</button>
</form>
</body>
</html>
`))

// authorize is the authorization endpoint (RFC 6749 §4.1.1): GET shows the form, POST decides.
func (x *exchange) authorize() *response {
	if x.http.Method != http.MethodGet && x.http.Method != http.MethodPost {
		return methodNotAllowed("GET, POST")
	}
	query, err := url.ParseQuery(x.http.URL.RawQuery)
	if err != nil {
		return textResponse(http.StatusBadRequest, "sandbox: the query cannot be read: "+err.Error())
	}
	o := x.provider.oauth
	// Until these two are valid, the caller may not be the client: no redirect.
	if len(query["client_id"]) != 1 || query.Get("client_id") != o.client.ID {
		return textResponse(http.StatusBadRequest, "sandbox: client_id is unknown")
	}
	target, ok := redirectTarget(query["redirect_uri"])
	if !ok {
		return textResponse(http.StatusBadRequest, "sandbox: redirect_uri is not an absolute http or https URL without user and fragment")
	}
	state := query["state"]
	if bad := o.checkConsentRequest(query); bad != nil {
		return redirectError(target, state, bad)
	}
	if x.http.Method == http.MethodGet {
		return x.consentForm(target, query.Get("scope"))
	}
	form, err := url.ParseQuery(string(x.body))
	switch decision := form["decision"]; {
	case err != nil || x.mediaType() != formType || len(decision) != 1:
	case decision[0] == "deny":
		return redirectError(target, state, &refusal{"access_denied", "the user denied access"})
	case decision[0] == "allow":
		c := &consent{
			redirectURI: query.Get("redirect_uri"), challenge: query.Get("code_challenge"), scope: query.Get("scope"),
			expires: x.now.Add(o.codeLifetime),
		}
		x.bindState()
		if c.caller, _, err = o.caller.eval(x.ctx, x.bindings); err != nil {
			return failed(err)
		}
		return redirectBack(target, state, url.Values{"code": {x.provider.authority.addConsent(c)}})
	}
	return textResponse(http.StatusBadRequest, "sandbox: the form must have one decision, allow or deny")
}

func (x *exchange) consentForm(target *url.URL, scope string) *response {
	var page bytes.Buffer
	err := consentPage.Execute(&page, map[string]any{
		"Client": x.provider.oauth.client.ID, "Provider": x.provider.name,
		"Scopes": strings.Fields(scope), "Target": target.Scheme + "://" + target.Host,
	})
	if err != nil {
		return failed(err)
	}
	out := textResponse(http.StatusOK, page.String())
	out.header.Set("Content-Type", "text/html; charset=utf-8")
	out.header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	out.header.Set("Cache-Control", "no-store")
	return out
}

// redirectTarget parses the redirect_uri; false if it is missing, repeated or not acceptable.
func redirectTarget(values []string) (*url.URL, bool) {
	if len(values) != 1 || strings.Contains(values[0], "#") {
		return nil, false
	}
	target, err := url.Parse(values[0])
	return target, err == nil && (target.Scheme == "http" || target.Scheme == "https") && target.Hostname() != "" && target.User == nil
}

// s256 matches a code_challenge: 32 bytes in base64url.
var s256 = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// checkConsentRequest returns the first mistake in a request for consent, nil if none.
func (o *oauth) checkConsentRequest(query url.Values) *refusal {
	for _, values := range query {
		if len(values) > 1 {
			return &refusal{"invalid_request", "a parameter occurs more than once"}
		}
	}
	kind, challenge, method := query.Get("response_type"), query.Get("code_challenge"), query.Get("code_challenge_method")
	switch {
	case kind == "":
		return &refusal{"invalid_request", "response_type is missing"}
	case kind != "code":
		return &refusal{"unsupported_response_type", "response_type must be code"}
	case o.pkce == pkceIgnored:
		return nil
	case challenge == "" && (o.pkce == pkceRequired || method != ""):
		return &refusal{"invalid_request", "code_challenge is missing"}
	case challenge != "" && method != "S256": // without a method it is plain: RFC 7636 §4.3
		return &refusal{"invalid_request", "code_challenge_method must be S256"}
	case challenge != "" && !s256.MatchString(challenge):
		return &refusal{"invalid_request", "code_challenge is not a SHA-256 in base64url"}
	default:
		return nil
	}
}

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// redirectError redirects the user to the client with an error.
func redirectError(target *url.URL, state []string, r *refusal) *response {
	return redirectBack(target, state, url.Values{"error": {r.code}, "error_description": {r.description}})
}

// redirectBack redirects the user to the client with added parameters and the state.
func redirectBack(target *url.URL, state []string, add url.Values) *response {
	if len(state) > 0 {
		add.Set("state", state[0])
	}
	to := *target
	if to.RawQuery != "" {
		to.RawQuery += "&"
	}
	to.RawQuery += add.Encode()
	out := textResponse(http.StatusSeeOther, "")
	out.header.Set("Location", to.String())
	out.header.Set("Cache-Control", "no-store")
	return out
}

func methodNotAllowed(methods string) *response {
	out := textResponse(http.StatusMethodNotAllowed, "sandbox: this endpoint allows the methods "+methods)
	out.header.Set("Allow", methods)
	return out
}
