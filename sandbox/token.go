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
		return methodNotAllowed(http.MethodPost)
	}
	g, refused := x.grant()
	if refused != nil {
		return refused.response()
	}
	return x.tokenResponse(g)
}

func (x *exchange) grant() (issued, *refusal) {
	params, bad := x.clientParams()
	if bad != nil {
		return issued{}, bad
	}
	o, a := x.provider.oauth, x.provider.authority
	switch params["grant_type"] {
	case "":
		return issued{}, &refusal{"invalid_request", "grant_type is missing"}
	case "authorization_code":
		if params["code"] == "" || params["redirect_uri"] == "" {
			return issued{}, &refusal{"invalid_request", "code or redirect_uri is missing"}
		}
		return a.exchange(o, params["code"], params["redirect_uri"], params["code_verifier"], x.now)
	case "refresh_token":
		if !o.renews() {
			break
		}
		if params["refresh_token"] == "" {
			return issued{}, &refusal{"invalid_request", "refresh_token is missing"}
		}
		return a.renew(o, params["refresh_token"], params["scope"], x.now)
	}
	return issued{}, &refusal{"unsupported_grant_type", "grant_type is not supported"}
}

// tokenResponse returns the response with g, the standard one or the provider's.
func (x *exchange) tokenResponse(g issued) *response {
	o := x.provider.oauth
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
	x.bindState()
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
		return methodNotAllowed(http.MethodPost)
	}
	params, bad := x.clientParams()
	if bad == nil && params["token"] == "" {
		bad = &refusal{"invalid_request", "token is missing"}
	}
	if bad != nil {
		return bad.response()
	}
	x.provider.authority.revoke(params["token"])
	return textResponse(http.StatusOK, "")
}

// clientParams reads the parameters of a request and authenticates the client.
func (x *exchange) clientParams() (map[string]string, *refusal) {
	params, err := readParams(x.mediaType(), x.body)
	if err != nil {
		return nil, &refusal{"invalid_request", err.Error()}
	}
	id, secret := params["client_id"], params["client_secret"]
	if user, password, basic := x.http.BasicAuth(); basic {
		if secret != "" {
			return nil, &refusal{"invalid_request", "the client authenticates twice: by Basic and in the body"}
		}
		user, badUser := url.QueryUnescape(user) // both are form-encoded: RFC 6749 §2.3.1
		password, badPassword := url.QueryUnescape(password)
		if badUser != nil || badPassword != nil || id != "" && id != user {
			return nil, &refusal{"invalid_client", "client id or secret is wrong"}
		}
		id, secret = user, password
	}
	if (OAuthClient{id, secret}) != x.provider.oauth.client {
		return nil, &refusal{"invalid_client", "client id or secret is wrong"}
	}
	return params, nil
}

// readParams reads a form or a flat JSON object of strings, without repeated parameters.
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
			return nil, errors.New("the body is not a JSON object")
		}
		for name, member := range object {
			text, ok := member.(string)
			if !ok {
				return nil, errors.New("a parameter is not a string")
			}
			out[name] = text
		}
	default:
		return nil, errors.New("the body is neither a form nor JSON")
	}
	return out, nil
}

func (x *exchange) mediaType() string {
	media, _, _ := mime.ParseMediaType(x.http.Header.Get("Content-Type")) // "" if it is not valid
	return media
}
