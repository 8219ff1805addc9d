package sandbox

import (
	"errors"
	"mime"
	"net/http"
	"net/url"

	"portolan/plain"
)

const formType = "application/x-www-form-urlencoded"

// refusal is an error of RFC 6749 §5.2 or §4.1.2.1.
type refusal struct {
	code, description string
}

func badGrant(description string) *refusal { return &refusal{"invalid_grant", description} }

func (r *refusal) response() *response {
	out := textResponse(http.StatusBadRequest, "")
	if r.code == "invalid_client" {
		out.status = http.StatusUnauthorized
		out.header.Set("WWW-Authenticate", `Basic realm="sandbox"`)
	}
	out.json(map[string]any{"error": r.code, "error_description": r.description})
	out.header.Set("Cache-Control", "no-store")
	return out
}

// token is the token endpoint (RFC 6749 §3.2).
func (x *exchange) token() *response {
	if x.http.Method != http.MethodPost {
		return notAllowed(http.MethodPost)
	}
	g, refused := x.give()
	if refused != nil {
		a := x.player.authority
		a.mu.Lock()
		defer a.mu.Unlock()
		a.stats.Refused++
		return refused.response()
	}
	return x.given(g)
}

func (x *exchange) give() (given, *refusal) {
	params, bad := x.clientParams()
	if bad != nil {
		return given{}, bad
	}
	o, a := x.player.oauth, x.player.authority
	switch params["grant_type"] {
	case "":
		return given{}, &refusal{"invalid_request", "grant_type is missing"}
	case "authorization_code":
		if params["code"] == "" || params["redirect_uri"] == "" {
			return given{}, &refusal{"invalid_request", "code or redirect_uri is missing"}
		}
		return a.exchange(o, params["code"], params["redirect_uri"], params["code_verifier"], x.now)
	case "refresh_token":
		if !o.renews() {
			break
		}
		if params["refresh_token"] == "" {
			return given{}, &refusal{"invalid_request", "refresh_token is missing"}
		}
		return a.renew(o, params["refresh_token"], params["scope"], x.now)
	}
	return given{}, &refusal{"unsupported_grant_type", "this grant_type is not for this server"}
}

// given tells of g: plainly, or as the provider does.
func (x *exchange) given(g given) *response {
	o := x.player.oauth
	body := map[string]any{"access_token": g.access, "token_type": "Bearer"}
	if o.expiresIn > 0 {
		body["expires_in"] = o.expiresIn.Seconds()
	}
	if g.refresh != "" {
		body["refresh_token"] = g.refresh
	}
	if g.scope != "" {
		body["scope"] = g.scope
	}
	x.look()
	x.bindings["grant"], x.bindings["token"] = g.binding(), body
	answer, present, err := o.answer.eval(x.ctx, x.bindings)
	if err != nil {
		return failed(err)
	}
	if !present {
		answer = body
	}
	out := textResponse(http.StatusOK, "")
	out.json(answer)
	out.header.Set("Cache-Control", "no-store")
	out.header.Set("Pragma", "no-cache")
	return out
}

// revoke is the revocation endpoint (RFC 7009).
func (x *exchange) revoke() *response {
	if x.http.Method != http.MethodPost {
		return notAllowed(http.MethodPost)
	}
	params, bad := x.clientParams()
	if bad == nil && params["token"] == "" {
		bad = &refusal{"invalid_request", "token is missing"}
	}
	if bad != nil {
		return bad.response()
	}
	x.player.authority.revoke(params["token"])
	return textResponse(http.StatusOK, "")
}

// clientParams reads the body of a request that the client must prove to be its own.
func (x *exchange) clientParams() (map[string]string, *refusal) {
	params, err := readParams(x.mediaType(), x.body)
	if err != nil {
		return nil, &refusal{"invalid_request", err.Error()}
	}
	id, secret := params["client_id"], params["client_secret"]
	if user, password, basic := x.http.BasicAuth(); basic {
		if secret != "" {
			return nil, &refusal{"invalid_request", "the client authenticates in two ways"}
		}
		user, badUser := url.QueryUnescape(user) // both are form-encoded first: RFC 6749 §2.3.1
		password, badPassword := url.QueryUnescape(password)
		if badUser != nil || badPassword != nil || id != "" && id != user {
			return nil, &refusal{"invalid_client", "client id or secret is wrong"}
		}
		id, secret = user, password
	}
	if (OAuthClient{id, secret}) != x.player.oauth.client {
		return nil, &refusal{"invalid_client", "client id or secret is wrong"}
	}
	return params, nil
}

// readParams reads a form or a flat JSON object of texts. A parameter occurs once, and
// none that is empty counts.
func readParams(media string, body []byte) (map[string]string, error) {
	out := map[string]string{}
	switch media {
	case formType:
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, errors.New("the form cannot be read")
		}
		for name, values := range form {
			if len(values) > 1 {
				return nil, errors.New("a parameter occurs more than once")
			}
			out[name] = values[0]
		}
	case "application/json":
		object, err := plain.DecodeObject(body, plain.Options{Lenient: true})
		if err != nil {
			return nil, errors.New("the body is no JSON object")
		}
		for name, member := range object {
			text, ok := member.(string)
			if !ok {
				return nil, errors.New("a parameter is no text")
			}
			out[name] = text
		}
	default:
		return nil, errors.New("the body is neither a form nor JSON")
	}
	return out, nil
}

func (x *exchange) mediaType() string {
	media, _, _ := mime.ParseMediaType(x.http.Header.Get("Content-Type")) // "" is none that is known
	return media
}
