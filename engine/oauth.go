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
	Scopes []string // to ask for; must only be read

	integration      *Integration
	authorize, token *template
	settings         []paramDoc
}

// Endpoints fills the URLs of the authorization server from the account's fields. What is
// missing or malformed of those fields is an *Error of KindAccount.
func (o *OAuth) Endpoints(account Context) (authorize, token string, err error) {
	credentials := slices.Clone(o.integration.Credentials)
	credentials = slices.DeleteFunc(credentials, func(c Credential) bool {
		return !slices.Contains(o.authorize.variables, c.Name) && !slices.Contains(o.token.variables, c.Name)
	})
	for i := range credentials {
		credentials[i].Required = true // here it is: the URL needs it
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

// Settings reads what the token endpoint's answer says of the account: its fields by name,
// as text, as far as the answer tells. They come from outside: whoever keeps them holds
// them against the credentials with CheckContext first. The error is an *Error of
// KindMapping.
func (o *OAuth) Settings(ctx context.Context, answer map[string]any) (map[string]any, error) {
	ctx, cancel := o.integration.language.WithDeadline(ctx)
	defer cancel()
	out := map[string]any{}
	for _, s := range o.settings {
		value, present, err := s.expr.Eval(ctx, map[string]any{"token": answer})
		if err != nil {
			return nil, &Error{Kind: KindMapping, Op: o.op() + ": settings." + s.name, Pos: s.expr.Pos(), Err: err}
		}
		switch value.(type) {
		case map[string]any, []any:
			return nil, &Error{Kind: KindMapping, Op: o.op() + ": settings." + s.name, Pos: s.expr.Pos(), Err: errors.New("gives no text")}
		}
		if present && value != nil && value != "" {
			out[s.name] = plain.Text(value)
		}
	}
	return out, nil
}

// Tells reports whether the credential called name is read from the token endpoint's answer.
func (o *OAuth) Tells(name string) bool {
	return slices.ContainsFunc(o.settings, func(s paramDoc) bool { return s.name == name })
}

func (o *OAuth) op() string { return o.integration.Name + ": oauth2" }
