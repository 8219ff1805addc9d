package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// accountContext completes the account's context with the credentials' defaults and
// checks it against what the integration declares.
func (p *Plan) accountContext(req *Request) (map[string]any, error) {
	problems := CheckContext(p.integration.credentials, req.Context)
	if len(problems) > 0 {
		return nil, &Error{Kind: KindAccount, Op: p.title, Err: errors.New(strings.Join(problems, "; "))}
	}
	return withDefaults(p.integration.credentials, req.Context), nil
}

func withDefaults(credentials []Credential, context Context) map[string]any {
	out := map[string]any(context)
	copied := false
	for _, c := range credentials {
		if v, ok := context[c.Name]; (!ok || v == nil || v == "") && c.Default != "" {
			if !copied {
				if out = maps.Clone(out); out == nil {
					out = map[string]any{}
				}
				copied = true
			}
			out[c.Name] = c.Default
		}
	}
	if out == nil {
		out = map[string]any{}
	}
	return out
}

// CheckContext says what of an integrated account's context breaks its integration's
// credentials, one sentence each, without the values.
func CheckContext(credentials []Credential, context Context) []string {
	token, _ := context[AccessToken].(string)
	var problems []string
	for _, c := range credentials {
		value, present := context[c.Name]
		text, isText := value.(string)
		switch {
		case !present || value == nil || value == "":
			if c.Required && c.Default == "" && (!c.Replaced || token == "") {
				problems = append(problems, fmt.Sprintf("credential %q is missing", c.Name))
			}
		case !isText:
			if c.Pattern != nil || c.Enum != nil || c.Secret {
				problems = append(problems, fmt.Sprintf("credential %q must be text", c.Name))
			}
		case strings.ContainsFunc(text, unicode.IsControl): // most end up in headers
			problems = append(problems, fmt.Sprintf("credential %q holds a control character", c.Name))
		case c.Pattern != nil && !c.Pattern.MatchString(text):
			problems = append(problems, fmt.Sprintf("credential %q does not match its pattern", c.Name))
		case c.Enum != nil && !slices.Contains(c.Enum, text):
			problems = append(problems, fmt.Sprintf("credential %q is none of %s", c.Name, strings.Join(c.Enum, ", ")))
		}
	}
	return problems
}
