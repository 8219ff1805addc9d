package engine

import (
	"context"
	"errors"
	"slices"
	"strings"

	"portolan/plain"
)

// OAuth is how an account of an integration connects by its customer's consent (OAuth 2.0,
// authorization code). It is immutable and safe for concurrent use.
type OAuth struct {
	Scopes []string // to request; must only be read

	integration      *Integration
	authorize, token *template
	settings         []param
}

// Endpoints returns the URLs of the authorization server for the account. A missing or malformed
// credential is an *Error of KindAccount.
func (o *OAuth) Endpoints(account Context) (authorize, token string, err error) {
	credentials := slices.Clone(o.integration.Credentials)
	credentials = slices.DeleteFunc(credentials, func(c Credential) bool {
		return !slices.Contains(o.authorize.variables, c.Name) && !slices.Contains(o.token.variables, c.Name)
	})
	for i := range credentials {
		credentials[i].Required = true // the URL needs it
	}
	if problems := CheckContext(credentials, account); len(problems) > 0 {
		return "", "", &Error{Kind: KindAccount, Op: o.op(), Err: errors.New(strings.Join(problems, "; "))}
	}
	values := withDefaults(credentials, account)
	value := func(name string) (string, error) { return plain.Text(values[name]), nil }
	authorize, _ = o.authorize.expand(value)
	token, _ = o.token.expand(value)
	return authorize, token, nil
}

// Settings reads the account's credentials by name, as text, from the token endpoint's answer.
// They are not trusted: check them with CheckContext before they are stored. The error is an
// *Error of KindMapping.
func (o *OAuth) Settings(ctx context.Context, answer map[string]any) (map[string]any, error) {
	ctx, cancel := o.integration.language.WithDeadline(ctx)
	defer cancel()
	out := map[string]any{}
	for _, s := range o.settings {
		value, present, err := s.expr.Eval(ctx, map[string]any{"token": answer})
		switch value.(type) {
		case map[string]any, []any:
			err = errNotText
		}
		if err != nil {
			return nil, &Error{Kind: KindMapping, Op: o.op() + ": settings." + s.name, Pos: s.expr.Pos(), Err: err}
		}
		if present && value != nil && value != "" {
			out[s.name] = plain.Text(value)
		}
	}
	return out, nil
}

// Provides reports whether the token endpoint's answer sets the credential called name.
func (o *OAuth) Provides(name string) bool {
	return slices.ContainsFunc(o.settings, func(s param) bool { return s.name == name })
}

func (o *OAuth) op() string { return o.integration.Name + ": oauth2" }
